//! The command against a scripted endpoint: what is refused before anything, and in which order the rest goes.

use serde_json::json;

use super::*;
use crate::command::played::{Account, Stack};
use ui::{Event, Ui};

const NETWORK: &str = "patient-management-prod-network";
const PLATFORM: &str = "patient-management-prod-platform";

/// A network and, on it, a platform with a load balancer.
fn two() -> Vec<Stack> {
    let mut platform = Stack::new(PLATFORM, "CREATE_COMPLETE");
    platform.template = json!({ "Resources": { "LoadBalancer": {
        "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "Properties": { "LoadBalancerAttributes": [{ "Key": "deletion_protection.enabled", "Value": "true" }] },
    } } });
    vec![Stack::new(NETWORK, "CREATE_COMPLETE"), platform]
}

fn confirmed() -> Args {
    Args {
        confirm: Some("patient-management-prod".into()),
        keep_endpoint: true,
        ..Args::default()
    }
}

/// Without the lock that is taken and given back.
fn deeds(account: &Account) -> Vec<String> {
    let mut changes = account.changes();
    changes.retain(|call| !call.ends_with("Parameter"));
    changes
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_takes_no_lock() {
    let account = Account::of(two());
    let (ui, _) = Ui::recording();
    let (_endpoint, session) = account.opens("prod", &ui).await;
    let args = Args {
        dry_run: true,
        ..Args::default()
    };
    run(args, &session).await.expect("a plan");
    assert_eq!(account.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_protected_resource_is_refused_before_anything_is_deleted() {
    let mut stacks = two();
    stacks[0].protected = true;
    let account = Account::of(stacks);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = account.opens("prod", &ui).await;
    let error = run(confirmed(), &session).await.expect_err("it is protected");
    assert_eq!(error.exit_code(), 1);
    insta::assert_snapshot!(error, @"
    nothing was deleted, because some of it is protected:
      LoadBalancer of patient-management-prod-platform (AWS::ElasticLoadBalancingV2::LoadBalancer) has deletion protection
      stack patient-management-prod-network has termination protection
    `deployer destroy --lift-protection` lifts that, once patient-management-prod is typed
    ");
    assert_eq!(account.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn with_the_name_confirmed_every_protection_is_lifted_before_the_first_deletion() {
    let mut stacks = two();
    stacks[0].protected = true;
    let account = Account::of(stacks);
    let (ui, said) = Ui::recording_yes();
    let (_endpoint, session) = account.opens("prod", &ui).await;
    let args = Args {
        lift_protection: true,
        ..confirmed()
    };
    run(args, &session).await.expect("it goes");
    assert_eq!(
        deeds(&account),
        [
            "ModifyLoadBalancerAttributes".to_owned(),
            format!("UpdateTerminationProtection {NETWORK}"),
            format!("DeleteStack {PLATFORM}"),
            format!("DeleteStack {NETWORK}"),
        ]
    );
    let deleted = said.lock().iter().any(
        |event| matches!(event, Event::Summary(summary) if summary.deleted == 2 && summary.outcome == RunOutcome::Deleted),
    );
    assert!(deleted);
}

#[tokio::test]
async fn yes_is_not_enough_in_a_protected_environment() {
    let account = Account::of(vec![Stack::new(NETWORK, "CREATE_COMPLETE")]);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = account.opens("prod", &ui).await;
    for other in ["patient-management-dev", "yes", ""] {
        let args = Args {
            confirm: Some(other.into()),
            ..confirmed()
        };
        assert_eq!(run(args, &session).await.expect_err("another name").exit_code(), 1);
    }
    assert_eq!(account.changes(), Vec::<String>::new());
    run(confirmed(), &session).await.expect("the right name");
    assert_eq!(deeds(&account), [format!("DeleteStack {NETWORK}")]);
    let before = account.changes().len();
    run(confirmed(), &session).await.expect("nothing to do");
    assert_eq!(account.changes().len(), before, "a second one changes nothing");
}

#[tokio::test]
async fn what_would_not_go_is_named_and_what_it_stands_on_is_not_begun() {
    let mut stacks = vec![
        Stack::new(NETWORK, "CREATE_COMPLETE"),
        Stack::new(PLATFORM, "CREATE_COMPLETE"),
    ];
    stacks[1].template = json!({ "Resources": { "Namespace": { "Type": "AWS::EC2::VPC" } } });
    stacks[1].refuses = Some(("Namespace", "it still has services"));
    let account = Account::of(stacks);
    let (ui, said) = Ui::recording_yes();
    let (_endpoint, session) = account.opens("prod", &ui).await;
    let error = run(confirmed(), &session).await.expect_err("it refuses");
    assert_eq!(error.exit_code(), 5);
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap_or_default()), @"
    stack patient-management-prod-platform is stuck in DELETE_FAILED: Namespace (AWS::EC2::VPC): it still has services
    hint: correct the cause, then `deployer destroy` goes on; `deployer destroy --retain LOGICAL_ID` leaves a resource behind, `deployer unstick patient-management-prod-platform` says more
    ");
    assert_eq!(deeds(&account), [format!("DeleteStack {PLATFORM}")]);

    // It goes on from there; the resource is left behind by its name alone.
    let with = |id: &str| Args {
        retain: vec![id.into()],
        ..confirmed()
    };
    assert!(
        run(with("Vpc"), &session).await.is_err(),
        "nothing of that name has failed"
    );
    run(with("platform/Namespace"), &session).await.expect("it goes on");
    assert_eq!(deeds(&account).last(), Some(&format!("DeleteStack {NETWORK}")));
    let said = said.lock();
    let told = |event: &Event| matches!(event, Event::Note { text } if text.starts_with("left on purpose") && text.contains("prod-platform-Namespace"));
    assert!(said.iter().any(told), "{said:#?}");
}

#[tokio::test]
async fn what_a_failed_rollback_could_not_delete_is_tried_once_more_and_then_left_behind() {
    let mut stuck = Stack::new(PLATFORM, "ROLLBACK_FAILED");
    stuck.template = json!({ "Resources": { "Namespace": { "Type": "AWS::EC2::VPC" } } });
    stuck.refuses = Some(("Namespace", "it still has services"));
    let account = Account::of(vec![stuck]);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = account.opens("prod", &ui).await;
    let args = Args {
        retain: vec!["Namespace".into()],
        ..confirmed()
    };
    run(args, &session).await.expect("the second deletion leaves it behind");
    let deletion = format!("DeleteStack {PLATFORM}");
    assert_eq!(deeds(&account), [deletion.clone(), deletion]);
}

#[tokio::test]
async fn what_outlives_the_stacks_is_told_with_what_deletes_it() {
    let mut network = Stack::new(NETWORK, "CREATE_COMPLETE");
    network.template = json!({ "Resources": { "Key": { "Type": "AWS::KMS::Key" } } });
    let account = Account::of(vec![network]);
    let snapshot = |id: &str| {
        format!(
            "<DBSnapshot><DBSnapshotIdentifier>{id}</DBSnapshotIdentifier><DBInstanceIdentifier>orders</DBInstanceIdentifier>\
             <AllocatedStorage>50</AllocatedStorage><SnapshotCreateTime>2026-01-02T03:04:05Z</SnapshotCreateTime>\
             <Status>available</Status></DBSnapshot>"
        )
    };
    let snapshots: String = [
        "patient-management-prod-data-snapshot-orders-1x",
        "patient-management-prod-two-data-snapshot-orders-1x",
    ]
    .map(snapshot)
    .concat();
    let secret = |environment: &str, deleted: bool| {
        let mut secret = json!({"Name": format!("{environment}-token"), "ARN": format!("arn:{environment}"), "Tags": [
            {"Key": "project", "Value": "patient-management"}, {"Key": "environment", "Value": environment}]});
        if deleted {
            secret["DeletedDate"] = json!(1_767_322_000.5);
        }
        secret
    };
    account.says(
        "DescribeDBSnapshots",
        &format!(
            "<DescribeDBSnapshotsResponse><DescribeDBSnapshotsResult><DBSnapshots>{snapshots}</DBSnapshots>\
         </DescribeDBSnapshotsResult></DescribeDBSnapshotsResponse>"
        ),
    );
    let secrets = [secret("prod", true), secret("prod", false), secret("dev", true)];
    account.says("ListSecrets", &json!({ "SecretList": secrets }).to_string());
    let key = json!({"KeyMetadata": {"KeyState": "PendingDeletion", "DeletionDate": 1_769_900_000.0}});
    account.says("DescribeKey", &key.to_string());
    let (ui, said) = Ui::recording_yes();
    let (_endpoint, session) = account.opens("prod", &ui).await;
    run(confirmed(), &session).await.expect("it goes");
    let said = said.lock();
    let told = said.iter().find_map(|event| match event {
        Event::Note { text } if text.starts_with("left on purpose") => {
            Some(text.replace(session.endpoint_url().as_deref()?, "URL"))
        }
        _ => None,
    });
    insta::assert_snapshot!(told.expect("what is left"), @"
    left on purpose:
      snapshot patient-management-prod-data-snapshot-orders-1x; 50 GiB of orders, taken on 2026-01-02, available
          deleted by `aws --endpoint-url URL rds delete-db-snapshot --db-snapshot-identifier patient-management-prod-data-snapshot-orders-1x`
      secret prod-token; deleted on 2026-01-02, and gone when its recovery window (7 to 30 days) has passed
          brought back by `aws --endpoint-url URL secretsmanager restore-secret --secret-id arn:prod`
          ended now by `aws --endpoint-url URL secretsmanager delete-secret --force-delete-without-recovery --secret-id arn:prod`
      key patient-management-prod-network-Key; deleted on 2026-01-31; what it encrypted cannot be read then
          kept by `aws --endpoint-url URL kms cancel-key-deletion --key-id patient-management-prod-network-Key && aws --endpoint-url URL kms enable-key --key-id patient-management-prod-network-Key`
    ");
}

#[tokio::test]
async fn what_hangs_on_the_stacks_is_swept_and_what_is_anothers_is_not() {
    let mut network = Stack::new(NETWORK, "CREATE_COMPLETE");
    network.template = json!({ "Resources": { "Vpc": { "Type": "AWS::EC2::VPC" } } });
    let account = Account::of(vec![network]);
    let others = "/ecs/patient-management-prod-two/api-gateway".to_owned();
    let ours = "/aws/rds/instance/patient-management-prod-data-patientdatabase-1x2y/postgresql".to_owned();
    *account.log_groups.lock().expect("whole") = vec![ours, others.clone()];
    account.interfaces.lock().expect("whole").push("eni-1".into());
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = account.opens("prod", &ui).await;
    run(confirmed(), &session).await.expect("it goes");
    assert_eq!(
        deeds(&account),
        [
            "DeleteNetworkInterface".to_owned(),
            format!("DeleteStack {NETWORK}"),
            "DeleteLogGroup".to_owned()
        ],
        "what holds the network goes before it, its logs after it"
    );
    assert_eq!(*account.log_groups.lock().expect("whole"), [others]);
}
