//! The first creation of a protected stack, against a fake account that refuses to delete what is protected.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws::cloudformation;
use aws::cloudformation::protection::unprotected_template;
use aws::testing::{FakeAccount, FakeStack};
use serde_json::{Value, json};

use super::image_pipeline::ImagePipeline;
use super::{Deployment, StackOutcome};
use crate::command::testing;
use crate::error::Error;
use platform::stacks::{Plan, Stack};
use ui::Ui;

const DATA: &str = "shop-prod-data";

fn template(protected: bool) -> Value {
    json!({ "Resources": {
        "Database": { "Type": "AWS::RDS::DBInstance", "Properties": { "DeletionProtection": protected } },
    } })
}

/// Returns the plan of one stack with a protected database.
fn plan() -> Arc<Plan> {
    let mut plan = testing::plan("prod");
    plan.protected = false;
    plan.images.clear();
    plan.stacks = vec![Stack {
        name: DATA.to_owned(),
        short_name: "data".to_owned(),
        template: template(true),
        parameters: Vec::new(),
        depends_on: Vec::new(),
    }];
    Arc::new(plan)
}

async fn up(account: &Arc<FakeAccount>) -> Result<BTreeMap<String, StackOutcome>, Error> {
    let endpoint = account.start().await;
    let aws = endpoint.session().await;
    let (ui, _) = Ui::recording();
    let images = ImagePipeline::start(ui.clone(), aws.clone(), Vec::new());
    let existing = cloudformation::list_stacks(&aws, "shop-prod-").await?;
    let timeout = Duration::from_mins(1);
    let deployment = Deployment::new(aws, ui, plan(), images, existing, timeout, Arc::default());
    Arc::new(deployment).run().await
}

fn state(account: &FakeAccount) -> (&'static str, Value) {
    let stacks = account.stacks.lock();
    let last = stacks.last().expect("a stack");
    (last.status, last.template.clone())
}

fn changes(account: &FakeAccount) -> Vec<String> {
    let mut changes = account.changes();
    changes.retain(|call| !call.starts_with("CreateChangeSet"));
    changes
}

#[test]
fn no_first_creation_of_a_protected_environment_has_a_deletion_protection() {
    /// Returns whether a value enables what its name, or the name in an attribute's key, says.
    fn is_protected(value: &Value) -> bool {
        let on = |value: &Value| *value == json!(true) || *value == json!("true");
        let named = |name: &str| name.to_lowercase().replace('_', "").contains("deletionprotection");
        match value {
            Value::Array(all) => all.iter().any(is_protected),
            Value::Object(all) => {
                let key = all.get("Key").and_then(Value::as_str);
                key.is_some_and(named) && all.get("Value").is_some_and(on)
                    || all
                        .iter()
                        .any(|(name, value)| named(name) && on(value) || is_protected(value))
            }
            _ => false,
        }
    }
    let plan = testing::plan("prod");
    let protected: Vec<&Stack> = plan
        .stacks
        .iter()
        .filter(|stack| is_protected(&stack.template))
        .collect();
    let names: Vec<&str> = protected.iter().map(|stack| stack.short_name.as_str()).collect();
    assert_eq!(names, ["data", "platform"]);
    for stack in protected {
        let first = unprotected_template(&stack.template).expect("another template");
        assert!(!is_protected(&first), "{}", stack.name);
    }
}

#[tokio::test]
async fn a_stack_is_protected_after_its_first_creation_in_the_same_run() {
    let account = FakeAccount::new(Vec::new());
    let outcomes = up(&account).await.expect("it is created");
    assert_eq!(outcomes[DATA], StackOutcome::Created);
    assert_eq!(state(&account), ("UPDATE_COMPLETE", template(true)));
    assert_eq!(
        changes(&account),
        ["ExecuteChangeSet", "ExecuteChangeSet"].map(|call| format!("{call} {DATA}"))
    );
    let outcomes = up(&account).await.expect("nothing to do");
    assert_eq!(outcomes[DATA], StackOutcome::Unchanged);
}

#[tokio::test]
async fn the_rollback_of_a_failed_first_creation_can_delete_everything() {
    let account = FakeAccount::new(Vec::new());
    account.fail_next_creation("Database", "the zone lacks this class");
    let error = up(&account).await.expect_err("it fails");
    assert_eq!(error.exit_code(), 4, "{error}");
    assert_eq!(state(&account).0, "ROLLBACK_COMPLETE");
    up(&account).await.expect("the next run completes it");
    assert_eq!(state(&account), ("UPDATE_COMPLETE", template(true)));
}

#[tokio::test]
async fn a_run_after_a_crash_between_creation_and_protection_protects_the_stack() {
    let mut created = FakeStack::new(DATA, "CREATE_COMPLETE");
    created.template = template(false);
    let account = FakeAccount::new(vec![created]);
    let outcomes = up(&account).await.expect("it is protected");
    assert_eq!(outcomes[DATA], StackOutcome::Updated);
    assert_eq!(state(&account), ("UPDATE_COMPLETE", template(true)));
}

#[tokio::test]
async fn a_protected_stack_whose_first_creation_failed_is_unprotected_deleted_and_created_again() {
    for status in ["ROLLBACK_FAILED", "DELETE_FAILED"] {
        let mut stuck = FakeStack::new(DATA, status);
        stuck.template = template(true);
        stuck.events = vec![
            ("", "CREATE_IN_PROGRESS", ""),
            ("", "ROLLBACK_IN_PROGRESS", ""),
            ("", status, ""),
        ];
        let account = FakeAccount::new(vec![stuck]);
        up(&account).await.expect(status);
        assert_eq!(state(&account), ("UPDATE_COMPLETE", template(true)));
        assert_eq!(
            changes(&account)[..2],
            ["ModifyDBInstance".to_owned(), format!("DeleteStack {DATA}")],
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_protected_stack_that_was_complete_is_never_unprotected_by_a_deployment() {
    let mut stuck = FakeStack::new(DATA, "DELETE_FAILED");
    stuck.template = template(true);
    let account = FakeAccount::new(vec![stuck]);
    let error = up(&account).await.expect_err("it is stuck");
    assert_eq!(error.exit_code(), 5, "{error}");
    assert_eq!(account.changes(), Vec::<String>::new());
}
