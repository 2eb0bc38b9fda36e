//! Change sets: made, shown, executed once.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::stack::{Goal, OnFailure};
use endpoint_core::{AwsError, Context};

const SETS: &str = "cloudformation.change-sets";

/// A change set, with the goal that its execution gives the stack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangeSet {
    pub id: String,
    pub name: String,
    pub stack_id: String,
    pub stack_name: String,
    pub is_create: bool,
    pub status: String,
    pub reason: Option<String>,
    pub execution_status: String,
    pub created: String,
    pub description: Option<String>,
    pub goal: Goal,
    pub capabilities: Vec<String>,
    pub changes: Vec<Value>,
    pub on_failure: Option<OnFailure>,
}

pub fn put(cx: &Context, set: &ChangeSet) -> anyhow::Result<()> {
    cx.store().put(SETS, &set.id, set)
}

pub fn delete(cx: &Context, id: &str) -> anyhow::Result<bool> {
    cx.store().delete(SETS, id)
}

/// The change sets of a stack, oldest first.
pub fn of_stack(cx: &Context, stack_id: &str) -> anyhow::Result<Vec<ChangeSet>> {
    let mut sets: Vec<ChangeSet> = cx.store().list(SETS)?.into_iter().map(|(_, set)| set).collect();
    sets.retain(|set: &ChangeSet| set.stack_id == stack_id);
    sets.sort_by(|a, b| a.created.cmp(&b.created));
    Ok(sets)
}

/// A change set by its ARN, or by its name and its stack.
pub fn existing(cx: &Context, name: &str, stack: Option<&str>) -> Result<ChangeSet, AwsError> {
    let missing = || AwsError::new("ChangeSetNotFound", format!("ChangeSet [{name}] does not exist")).with_status(404);
    if name.starts_with("arn:") {
        return cx.store().get(SETS, name)?.ok_or_else(missing);
    }
    let stack = stack.ok_or_else(|| {
        AwsError::validation("StackName must be specified if ChangeSetName is not specified as an ARN.")
    })?;
    let stack = super::stack::existing(cx, stack)?;
    of_stack(cx, &stack.id)?
        .into_iter()
        .find(|set| set.name == name)
        .ok_or_else(missing)
}
