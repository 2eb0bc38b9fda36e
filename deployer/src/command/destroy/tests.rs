//! The command against a fake endpoint: what is rejected before any change, and the order of the deletions.

use aws::testing::{FakeAccount, FakeStack};
use serde_json::json;

use super::*;
use crate::command::testing;
use crate::error::{ArgumentError, Error, NotConfirmed, Reason};
use ui::{Event, Ui};

const NETWORK: &str = "shop-prod-network";
const PLATFORM: &str = "shop-prod-platform";

/// A network and, on it, a platform with a load balancer.
fn two() -> Vec<FakeStack> {
    let mut platform = FakeStack::new(PLATFORM, "CREATE_COMPLETE");
    platform.template = json!({ "Resources": { "LoadBalancer": {
        "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "Properties": { "LoadBalancerAttributes": [{ "Key": "deletion_protection.enabled", "Value": "true" }] },
    } } });
    vec![FakeStack::new(NETWORK, "CREATE_COMPLETE"), platform]
}

fn confirmed() -> Args {
    Args {
        confirm: Some("shop-prod".into()),
        keep_endpoint: true,
        ..Args::default()
    }
}

/// The calls that change something, without those for the lock.
fn changes(account: &FakeAccount) -> Vec<String> {
    let mut changes = account.changes();
    changes.retain(|call| !call.ends_with("Parameter"));
    changes
}

/// The report of retained resources: the last note of the command.
fn retained(events: &parking_lot::Mutex<Vec<Event>>) -> String {
    let events = events.lock();
    let notes = events.iter().filter_map(|event| match event {
        Event::Note { text } => Some(text.clone()),
        _ => None,
    });
    notes.filter(|text| text.starts_with("retained:")).collect()
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_takes_no_lock() {
    let account = FakeAccount::new(two());
    let (ui, _) = Ui::recording();
    let (_endpoint, session) = testing::context(&account, "prod", &ui).await;
    let args = Args {
        dry_run: true,
        ..Args::default()
    };
    run(args, &session).await.expect("a plan");
    assert_eq!(account.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn protection_is_reported_before_anything_is_deleted() {
    let mut stacks = two();
    stacks[0].protected = true;
    let account = FakeAccount::new(stacks);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = testing::context(&account, "prod", &ui).await;
    let error = run(confirmed(), &session).await.expect_err("it is protected");
    assert_eq!(error.exit_code(), 1);
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap_or_default()), @"
    nothing was deleted: shop-prod is protected
      LoadBalancer of shop-prod-platform (AWS::ElasticLoadBalancingV2::LoadBalancer) has deletion protection
      stack shop-prod-network has termination protection
    hint: `deployer destroy --disable-protection` deletes it once shop-prod is confirmed
    ");
    assert_eq!(account.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn with_the_name_confirmed_every_protection_is_disabled_before_the_first_deletion() {
    let mut stacks = two();
    stacks[0].protected = true;
    let account = FakeAccount::new(stacks);
    let (ui, events) = Ui::recording_yes();
    let (_endpoint, session) = testing::context(&account, "prod", &ui).await;
    let args = Args {
        disable_protection: true,
        ..confirmed()
    };
    run(args, &session).await.expect("it is deleted");
    assert_eq!(
        changes(&account),
        [
            "ModifyLoadBalancerAttributes".to_owned(),
            format!("UpdateTerminationProtection {NETWORK}"),
            format!("DeleteStack {PLATFORM}"),
            format!("DeleteStack {NETWORK}"),
        ]
    );
    let deleted = events.lock().iter().any(
        |event| matches!(event, Event::Summary(summary) if summary.deleted == 2 && summary.outcome == RunOutcome::Deleted),
    );
    assert!(deleted);
}

#[tokio::test]
async fn a_protected_database_is_deleted_in_any_status_of_its_stack() {
    for status in ["CREATE_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"] {
        let mut data = FakeStack::new("shop-prod-data", status);
        let properties = json!({ "DeletionProtection": true });
        data.template = json!({ "Resources": { "Db": { "Type": "AWS::RDS::DBInstance", "Properties": properties } } });
        let account = FakeAccount::new(vec![data]);
        let (ui, _) = Ui::recording_yes();
        let (_endpoint, session) = testing::context(&account, "prod", &ui).await;
        let error = run(confirmed(), &session).await.expect_err("it is protected");
        assert!(
            matches!(&error, Error::Protected(protected) if protected.protections.len() == 1),
            "{error:?}"
        );
        let args = Args {
            disable_protection: true,
            ..confirmed()
        };
        run(args, &session).await.expect(status);
        assert_eq!(
            changes(&account),
            ["ModifyDBInstance", "DeleteStack shop-prod-data"],
            "{status}"
        );
    }
}

#[tokio::test]
async fn yes_is_not_sufficient_in_a_protected_environment() {
    let account = FakeAccount::new(vec![FakeStack::new(NETWORK, "CREATE_COMPLETE")]);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = testing::context(&account, "prod", &ui).await;
    for other in ["shop-dev", "yes", ""] {
        let args = Args {
            confirm: Some(other.into()),
            ..confirmed()
        };
        let error = run(args, &session).await.expect_err("another name");
        assert!(matches!(
            error,
            Error::NotConfirmed(NotConfirmed {
                reason: Reason::OtherName { .. },
                ..
            })
        ));
    }
    assert_eq!(account.changes(), Vec::<String>::new());
    run(confirmed(), &session).await.expect("the right name");
    assert_eq!(changes(&account), [format!("DeleteStack {NETWORK}")]);
    let before = account.changes().len();
    run(confirmed(), &session).await.expect("nothing to do");
    assert_eq!(account.changes().len(), before, "a second run changes nothing");
}

#[tokio::test]
async fn a_resource_that_cannot_be_deleted_is_named_and_the_stacks_that_it_uses_are_kept() {
    let mut stacks = vec![
        FakeStack::new(NETWORK, "CREATE_COMPLETE"),
        FakeStack::new(PLATFORM, "CREATE_COMPLETE"),
    ];
    stacks[1].template = json!({ "Resources": { "Namespace": { "Type": "AWS::EC2::VPC" } } });
    stacks[1].delete_fails = Some(("Namespace", "it still has services"));
    let account = FakeAccount::new(stacks);
    let (ui, events) = Ui::recording_yes();
    let (_endpoint, session) = testing::context(&account, "prod", &ui).await;
    let error = run(confirmed(), &session).await.expect_err("the deletion fails");
    assert_eq!(error.exit_code(), 5);
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap_or_default()), @"
    stack shop-prod-platform is stuck in DELETE_FAILED: Namespace (AWS::EC2::VPC): it still has services
    hint: correct the cause, then `deployer destroy` continues; `deployer destroy --retain LOGICAL_ID` retains a resource, `deployer unstick shop-prod-platform` says more
    ");
    assert_eq!(changes(&account), [format!("DeleteStack {PLATFORM}")]);

    // The next run continues from there, and retains the resource.
    let with = |id: &str| Args {
        retain: vec![id.into()],
        ..confirmed()
    };
    let error = run(with("Vpc"), &session)
        .await
        .expect_err("no deletion of that name failed");
    assert!(matches!(
        error,
        Error::Argument(ArgumentError::NothingToRetain { status: None, .. })
    ));
    run(with("platform/Namespace"), &session).await.expect("it continues");
    assert_eq!(changes(&account).last(), Some(&format!("DeleteStack {NETWORK}")));
    let retained = retained(&events);
    assert!(retained.contains("shop-prod-platform-Namespace"), "{retained}");
}

#[tokio::test]
async fn a_resource_of_a_failed_rollback_is_deleted_once_more_and_then_retained() {
    let mut stuck = FakeStack::new(PLATFORM, "ROLLBACK_FAILED");
    stuck.template = json!({ "Resources": { "Namespace": { "Type": "AWS::EC2::VPC" } } });
    stuck.delete_fails = Some(("Namespace", "it still has services"));
    let account = FakeAccount::new(vec![stuck]);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = testing::context(&account, "prod", &ui).await;
    let args = Args {
        retain: vec!["Namespace".into()],
        ..confirmed()
    };
    run(args, &session).await.expect("the second deletion retains it");
    let deletion = format!("DeleteStack {PLATFORM}");
    assert_eq!(changes(&account), [deletion.clone(), deletion]);
}

#[tokio::test]
async fn retained_resources_are_listed_with_the_commands_that_delete_them() {
    let mut network = FakeStack::new(NETWORK, "CREATE_COMPLETE");
    network.template = json!({ "Resources": { "Key": { "Type": "AWS::KMS::Key" } } });
    let account = FakeAccount::new(vec![network]);
    let snapshot = |id: &str| {
        format!(
            "<DBSnapshot><DBSnapshotIdentifier>{id}</DBSnapshotIdentifier><DBInstanceIdentifier>orders</DBInstanceIdentifier>\
             <AllocatedStorage>50</AllocatedStorage><SnapshotCreateTime>2026-01-02T03:04:05Z</SnapshotCreateTime>\
             <Status>available</Status></DBSnapshot>"
        )
    };
    let snapshots: String = [
        "shop-prod-data-snapshot-orders-1x",
        "shop-prod-two-data-snapshot-orders-1x",
    ]
    .map(snapshot)
    .concat();
    let secret = |environment: &str, deleted: bool| {
        let mut secret = json!({"Name": format!("{environment}-token"), "ARN": format!("arn:{environment}"), "Tags": [
            {"Key": "project", "Value": "shop"}, {"Key": "environment", "Value": environment}]});
        if deleted {
            secret["DeletedDate"] = json!(1_767_322_000.5);
        }
        secret
    };
    account.set_response(
        "DescribeDBSnapshots",
        &format!(
            "<DescribeDBSnapshotsResponse><DescribeDBSnapshotsResult><DBSnapshots>{snapshots}</DBSnapshots>\
         </DescribeDBSnapshotsResult></DescribeDBSnapshotsResponse>"
        ),
    );
    let secrets = [secret("prod", true), secret("prod", false), secret("dev", true)];
    account.set_response("ListSecrets", &json!({ "SecretList": secrets }).to_string());
    let key = json!({"KeyMetadata": {"KeyState": "PendingDeletion", "DeletionDate": 1_769_900_000.0}});
    account.set_response("DescribeKey", &key.to_string());
    let (ui, events) = Ui::recording_yes();
    let (_endpoint, session) = testing::context(&account, "prod", &ui).await;
    run(confirmed(), &session).await.expect("it is deleted");
    let url = session.endpoint_url().expect("its URL");
    insta::assert_snapshot!(retained(&events).replace(&url, "URL"), @"
    retained:
      snapshot shop-prod-data-snapshot-orders-1x; 50 GiB of orders, taken on 2026-01-02, available
          delete: `aws --endpoint-url URL rds delete-db-snapshot --db-snapshot-identifier shop-prod-data-snapshot-orders-1x`
      secret prod-token; deleted on 2026-01-02; it can be restored within its recovery window (7 to 30 days)
          restore: `aws --endpoint-url URL secretsmanager restore-secret --secret-id arn:prod`
          delete now: `aws --endpoint-url URL secretsmanager delete-secret --force-delete-without-recovery --secret-id arn:prod`
      key shop-prod-network-Key; to be deleted on 2026-01-31; then the data it encrypted cannot be read
          keep: `aws --endpoint-url URL kms cancel-key-deletion --key-id shop-prod-network-Key && aws --endpoint-url URL kms enable-key --key-id shop-prod-network-Key`
    ");
}

#[tokio::test]
async fn orphaned_resources_of_the_environment_are_deleted_and_those_of_another_one_are_not() {
    let mut network = FakeStack::new(NETWORK, "CREATE_COMPLETE");
    network.template = json!({ "Resources": { "Vpc": { "Type": "AWS::EC2::VPC" } } });
    let account = FakeAccount::new(vec![network]);
    let others = "/ecs/shop-prod-two/web".to_owned();
    let own = "/aws/rds/instance/shop-prod-data-ordersdatabase-1x2y/postgresql".to_owned();
    *account.log_groups.lock() = vec![own, others.clone()];
    account.interfaces.lock().push("eni-1".into());
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = testing::context(&account, "prod", &ui).await;
    run(confirmed(), &session).await.expect("it is deleted");
    assert_eq!(
        changes(&account),
        [
            "DeleteNetworkInterface".to_owned(),
            format!("DeleteStack {NETWORK}"),
            "DeleteLogGroup".to_owned()
        ],
        "network interfaces before the network, log groups after it"
    );
    assert_eq!(*account.log_groups.lock(), [others]);
}
