//! The command against a fake endpoint: which stack is continued, deleted, or needs a typed name.

use crate::error::{NotConfirmed, Reason};
use aws::testing::{FakeAccount, FakeStack};

use super::*;
use crate::command::testing;

const DATA: &str = "shop-dev-data";

fn of(stack: &str) -> Args {
    Args {
        stack: Some(stack.into()),
        ..Args::default()
    }
}

fn changes(account: &FakeAccount) -> Vec<String> {
    let mut changes = account.changes();
    changes.retain(|call| !call.ends_with("Parameter"));
    changes
}

/// A stack whose update could not be rolled back.
fn stuck_update() -> FakeStack {
    let mut stack = FakeStack::new(DATA, "UPDATE_ROLLBACK_FAILED");
    stack.events.extend([
        ("", "UPDATE_IN_PROGRESS", ""),
        ("Database", "UPDATE_FAILED", "the storage is full"),
        ("", "UPDATE_ROLLBACK_IN_PROGRESS", ""),
        ("Secret", "UPDATE_COMPLETE", ""),
        ("Database", "UPDATE_FAILED", "the instance is being modified"),
        ("", "UPDATE_ROLLBACK_FAILED", ""),
    ]);
    stack
}

/// A stack after a failed creation, or after a failed update on an endpoint that reports it as `ROLLBACK_COMPLETE`.
fn rolled_back(was_complete: bool) -> FakeStack {
    let mut stack = FakeStack::new(DATA, "ROLLBACK_COMPLETE");
    if !was_complete {
        stack.events.truncate(1);
    }
    stack
        .events
        .extend([("", "ROLLBACK_IN_PROGRESS", ""), ("", "ROLLBACK_COMPLETE", "")]);
    stack
}

#[tokio::test]
async fn a_rollback_that_failed_is_explained_and_continued() {
    let account = FakeAccount::new(vec![stuck_update()]);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = testing::context(&account, "dev", &ui).await;
    let aws = session.connect().await.expect("it answers");
    let existing = cloudformation::find_stack(&aws, DATA)
        .await
        .expect("an answer")
        .expect("a stack");
    let diagnosis = StackDiagnosis::inspect(&aws, &existing, false, false)
        .await
        .expect("a diagnosis");
    insta::assert_snapshot!(diagnosis.text(), @"
    shop-dev-data: UPDATE_ROLLBACK_FAILED
      the update failed and the rollback failed too: some resources are as before, others are not; the rollback can be continued once the cause is removed
      cause: Database (AWS::EC2::VPC): the storage is full
      not rolled back: Database: the instance is being modified
      the rollback can be continued
      correct the cause first; --skip Database skips a resource that cannot be restored, which then differs from its template
    ");
    let args = Args {
        skip: vec!["Database".into()],
        ..of("data")
    };
    run(args, &session).await.expect("it is continued");
    assert_eq!(changes(&account), [format!("ContinueUpdateRollback {DATA}")]);
    run(of("data"), &session).await.expect("nothing to do");
    assert_eq!(changes(&account).len(), 1);
}

#[tokio::test]
async fn a_dry_run_and_the_list_change_nothing() {
    let account = FakeAccount::new(vec![stuck_update(), rolled_back(true)]);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = testing::context(&account, "dev", &ui).await;
    let args = Args {
        dry_run: true,
        ..of("data")
    };
    run(args, &session).await.expect("an explanation");
    run(Args::default(), &session).await.expect("a list");
    assert_eq!(account.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_stack_that_was_complete_is_deleted_by_its_typed_name_alone_whatever_its_state() {
    let account = FakeAccount::new(vec![rolled_back(true)]);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = testing::context(&account, "dev", &ui).await;
    let with = |name: &str| Args {
        confirm: Some(name.into()),
        ..of("data")
    };
    let error = run(with("data"), &session)
        .await
        .expect_err("the short name is not sufficient");
    assert!(matches!(
        error,
        Error::NotConfirmed(NotConfirmed {
            reason: Reason::OtherName { .. },
            ..
        })
    ));
    assert_eq!(account.changes(), Vec::<String>::new());
    run(with(DATA), &session).await.expect("it is deleted");
    assert_eq!(changes(&account), [format!("DeleteStack {DATA}")]);
}

#[tokio::test]
async fn a_failed_creation_is_deleted_after_a_yes() {
    let account = FakeAccount::new(vec![rolled_back(false)]);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = testing::context(&account, "dev", &ui).await;
    run(of(DATA), &session).await.expect("it is deleted");
    assert_eq!(changes(&account), [format!("DeleteStack {DATA}")]);
}

#[tokio::test]
async fn an_unsupported_operation_is_reported_with_the_alternative() {
    let account = FakeAccount::without(vec![stuck_update()], &["ContinueUpdateRollback"]);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = testing::context(&account, "dev", &ui).await;
    let error = run(of("data"), &session).await.expect_err("it cannot");
    assert!(matches!(error, Error::RemedyUnsupported { .. }), "{error:?}");
    insta::assert_snapshot!(format!("{error}
hint: {}", error.hint().unwrap_or_default()), @"
    this endpoint does not support the repair: cloudformation ContinueUpdateRollback is not supported by this endpoint: The operation has not yet been implemented
    hint: correct the cause and run `deployer up`; as a last resort, `deployer unstick STACK --delete` deletes the stack with its data
    ");
    let args = |name: &str| Args {
        delete: true,
        confirm: Some(name.into()),
        ..of("data")
    };
    let error = run(args("yes"), &session).await.expect_err("its name is required");
    assert!(matches!(error, Error::NotConfirmed(_)), "{error:?}");
    run(args(DATA), &session).await.expect("the alternative");
    assert_eq!(changes(&account).last(), Some(&format!("DeleteStack {DATA}")));
}

#[tokio::test]
async fn a_deployment_updates_a_stack_that_was_complete_and_deletes_one_that_never_was() {
    for (was_complete, deleted) in [(true, 0), (false, 1)] {
        let account = FakeAccount::new(vec![rolled_back(was_complete)]);
        let (ui, _) = Ui::recording();
        let (_endpoint, session) = testing::context(&account, "dev", &ui).await;
        let aws = session.connect().await.expect("it answers");
        let known = cloudformation::find_stack(&aws, DATA).await.expect("an answer");
        let updatable = operations::ensure_updatable(&aws, &ui, DATA, known, TIMEOUT)
            .await
            .expect("a stack that can be updated or created");
        assert_eq!(updatable.is_some(), was_complete);
        assert_eq!(changes(&account).len(), deleted);
    }
}

#[tokio::test]
async fn a_protected_stack_is_unprotected_before_it_is_deleted_whether_or_not_it_was_ever_complete() {
    for was_complete in [false, true] {
        let mut stuck = rolled_back(was_complete);
        stuck.status = if was_complete {
            "DELETE_FAILED"
        } else {
            "ROLLBACK_FAILED"
        };
        let properties = json!({ "DeletionProtection": true });
        stuck.template =
            json!({ "Resources": { "Database": { "Type": "AWS::RDS::DBInstance", "Properties": properties } } });
        let account = FakeAccount::new(vec![stuck]);
        let (ui, _) = Ui::recording_yes();
        let (_endpoint, session) = testing::context(&account, "dev", &ui).await;
        if was_complete {
            let error = run(of(DATA), &session).await.expect_err("its name is required");
            assert!(matches!(error, Error::NotConfirmed(_)), "{error:?}");
            assert_eq!(account.changes(), Vec::<String>::new());
        }
        let confirm = was_complete.then(|| DATA.to_owned());
        run(Args { confirm, ..of(DATA) }, &session)
            .await
            .expect("it is deleted");
        assert_eq!(
            changes(&account),
            ["ModifyDBInstance".to_owned(), format!("DeleteStack {DATA}")]
        );
    }
}
