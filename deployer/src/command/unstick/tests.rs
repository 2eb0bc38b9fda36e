//! The command against a scripted endpoint: what is continued, what is deleted, and what is not without a typed name.

use super::*;
use crate::command::played::{Account, Stack};

const DATA: &str = "patient-management-dev-data";

fn of(stack: &str) -> Args {
    Args {
        stack: Some(stack.into()),
        ..Args::default()
    }
}

fn deeds(account: &Account) -> Vec<String> {
    let mut changes = account.changes();
    changes.retain(|call| !call.ends_with("Parameter"));
    changes
}

/// An update that could not be put back.
fn half_way() -> Stack {
    let mut stack = Stack::new(DATA, "UPDATE_ROLLBACK_FAILED");
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

/// What a failed *update* leaves on an endpoint that ends it so, or a failed creation, on every endpoint.
fn rolled_back(was_whole: bool) -> Stack {
    let mut stack = Stack::new(DATA, "ROLLBACK_COMPLETE");
    if !was_whole {
        stack.events.truncate(1);
    }
    stack
        .events
        .extend([("", "ROLLBACK_IN_PROGRESS", ""), ("", "ROLLBACK_COMPLETE", "")]);
    stack
}

#[tokio::test]
async fn a_rollback_that_failed_is_explained_and_continued() {
    let account = Account::of(vec![half_way()]);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = account.opens("dev", &ui).await;
    let aws = session.connect().await.expect("it answers");
    let existing = stack::find(&aws, DATA).await.expect("an answer").expect("a stack");
    let finding = Finding::look(&aws, &existing, false, false).await.expect("a finding");
    insta::assert_snapshot!(finding.text(), @"
    patient-management-dev-data: UPDATE_ROLLBACK_FAILED
      its update failed, and so did putting it back: some resources are as before, others are not; the rollback can be continued once the cause is removed
      why: Database (AWS::EC2::VPC): the storage is full
      not put back: Database: the instance is being modified
      its rollback can be continued
      once the cause is removed, continue; a resource that can no longer be put back is left out with --skip Database, and then is not what the template says
    ");
    let args = Args {
        skip: vec!["Database".into()],
        ..of("data")
    };
    run(args, &session).await.expect("it is continued");
    assert_eq!(deeds(&account), [format!("ContinueUpdateRollback {DATA}")]);
    run(of("data"), &session).await.expect("nothing to do");
    assert_eq!(deeds(&account).len(), 1);
}

#[tokio::test]
async fn a_dry_run_and_the_list_change_nothing() {
    let account = Account::of(vec![half_way(), rolled_back(true)]);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = account.opens("dev", &ui).await;
    let args = Args {
        dry_run: true,
        ..of("data")
    };
    run(args, &session).await.expect("an explanation");
    run(Args::default(), &session).await.expect("a list");
    assert_eq!(account.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_stack_that_was_whole_is_deleted_by_its_typed_name_alone_whatever_its_state() {
    let account = Account::of(vec![rolled_back(true)]);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = account.opens("dev", &ui).await;
    let with = |name: &str| Args {
        confirm: Some(name.into()),
        ..of("data")
    };
    assert!(
        run(with("data"), &session).await.is_err(),
        "the short name is not enough"
    );
    assert_eq!(account.changes(), Vec::<String>::new());
    run(with(DATA), &session).await.expect("it is deleted");
    assert_eq!(deeds(&account), [format!("DeleteStack {DATA}")]);
}

#[tokio::test]
async fn what_a_failed_creation_left_is_deleted_after_a_yes() {
    let account = Account::of(vec![rolled_back(false)]);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = account.opens("dev", &ui).await;
    run(of(DATA), &session).await.expect("it is deleted");
    assert_eq!(deeds(&account), [format!("DeleteStack {DATA}")]);
}

#[tokio::test]
async fn an_endpoint_without_the_operation_is_named_with_what_else_there_is() {
    let account = Account::lacking(vec![half_way()], &["ContinueUpdateRollback"]);
    let (ui, _) = Ui::recording_yes();
    let (_endpoint, session) = account.opens("dev", &ui).await;
    let error = run(of("data"), &session).await.expect_err("it cannot");
    insta::assert_snapshot!(error, @"
    this endpoint cannot do that (cloudformation ContinueUpdateRollback: the endpoint does not do this: The operation has not yet been implemented); correct what failed and try `deployer up`; the last way out is `deployer unstick STACK --delete`, which loses what it holds
    ");
    let args = |name: &str| Args {
        delete: true,
        confirm: Some(name.into()),
        ..of("data")
    };
    assert!(run(args("yes"), &session).await.is_err(), "its name is needed");
    run(args(DATA), &session).await.expect("the last way out");
    assert_eq!(deeds(&account).last(), Some(&format!("DeleteStack {DATA}")));
}

#[tokio::test]
async fn a_deployment_updates_what_was_whole_and_removes_only_what_never_was() {
    for (was_whole, deleted) in [(true, 0), (false, 1)] {
        let account = Account::of(vec![rolled_back(was_whole)]);
        let (ui, _) = Ui::recording();
        let (_endpoint, session) = account.opens("dev", &ui).await;
        let aws = session.connect().await.expect("it answers");
        let known = stack::find(&aws, DATA).await.expect("an answer");
        let settled = settle::settle(&aws, &ui, DATA, known, LIMIT).await.expect("it settles");
        assert_eq!(settled.is_some(), was_whole);
        assert_eq!(deeds(&account).len(), deleted);
    }
}
