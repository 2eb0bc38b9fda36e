//! The stored state of change sets.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stack::{self, OnFailure, StackDefinition};
use endpoint_core::{AwsError, Context};

const SETS: &str = "cloudformation.change-sets";

/// A change set, with the definition that its execution gives the stack.
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
    /// The start of the stack's operation that executes it; `None` before its execution.
    #[serde(default)]
    pub executed: Option<String>,
    /// The `ClientToken` of its creation.
    #[serde(default)]
    pub token: Option<String>,
    pub description: Option<String>,
    pub definition: StackDefinition,
    pub capabilities: Vec<String>,
    pub changes: Vec<Value>,
    /// The reason why property values are incomplete, which a description with them shows.
    #[serde(default)]
    pub warning: Option<String>,
    pub on_failure: Option<OnFailure>,
    /// ARN of the service role of the execution.
    #[serde(default)]
    pub role: Option<String>,
    /// `ImportExistingResources`, which is only returned: the creation of a resource that exists fails.
    #[serde(default)]
    pub imports_existing: bool,
    /// True if the change sets of nested stacks belong to this one.
    #[serde(default)]
    pub includes_nested: bool,
    /// ARNs of the change sets of the parent stack and of the root stack; `None` for that of a root stack.
    #[serde(default)]
    pub parent: Option<(String, String)>,
}

impl ChangeSet {
    /// Makes the change set one that has failed and cannot be executed.
    pub fn fail(&mut self, reason: String) {
        self.status = "FAILED".into();
        self.execution_status = "UNAVAILABLE".into();
        self.reason = Some(reason);
    }

    /// Returns the `ExecutionStatus`: that of the stack's operation while it is the last one.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn shown_execution_status(&self, cx: &Context) -> anyhow::Result<&str> {
        let stack = match &self.executed {
            Some(_) => stack::find(cx, &self.stack_id)?.filter(|stack| stack.updated == self.executed),
            None => None,
        };
        Ok(match stack {
            Some(stack) if stack.is_in_progress() && stack.status != "DELETE_IN_PROGRESS" => "EXECUTE_IN_PROGRESS",
            Some(stack) if stack.status.contains("ROLLBACK") || stack.status.ends_with("_FAILED") => "EXECUTE_FAILED",
            _ => &self.execution_status,
        })
    }
}

/// Stores a change set.
///
/// # Errors
/// When the state cannot be written.
pub fn put(cx: &Context, set: &ChangeSet) -> anyhow::Result<()> {
    cx.store().put(SETS, &set.id, set)
}

/// Deletes a change set, with those of nested stacks that belong to it.
///
/// # Errors
/// When the state cannot be written.
pub fn delete(cx: &Context, id: &str) -> anyhow::Result<()> {
    cx.store().transaction(|| {
        for set in below(cx, id)? {
            cx.store().delete(SETS, &set.id)?;
        }
        cx.store().delete(SETS, id).map(drop)
    })
}

/// Returns the change sets of nested stacks that belong to the change set of a root stack.
///
/// # Errors
/// When the state cannot be read.
pub fn below(cx: &Context, root: &str) -> anyhow::Result<Vec<ChangeSet>> {
    let all = cx.store().list(SETS)?.into_iter().map(|(_, set)| set);
    Ok(all
        .filter(|set: &ChangeSet| set.parent.as_ref().is_some_and(|(_, of)| of == root))
        .collect())
}

/// Returns the change sets of a stack that can still be executed or have failed, oldest first. The execution of one removes all
/// from the stack; their ARNs stay valid.
///
/// # Errors
/// When the state cannot be read.
pub fn of_stack(cx: &Context, stack_id: &str) -> anyhow::Result<Vec<ChangeSet>> {
    let mut sets: Vec<ChangeSet> = cx.store().list(SETS)?.into_iter().map(|(_, set)| set).collect();
    let is_closed = |set: &ChangeSet| matches!(set.execution_status.as_str(), "EXECUTE_COMPLETE" | "OBSOLETE");
    sets.retain(|set: &ChangeSet| set.stack_id == stack_id && !is_closed(set));
    sets.sort_by(|a, b| a.created.cmp(&b.created));
    Ok(sets)
}

/// Returns a change set by its ARN, or by its name and its stack.
///
/// # Errors
/// `ChangeSetNotFound`, or `ValidationError` for a name without a stack.
pub fn existing(cx: &Context, name: &str, stack_name: Option<&str>) -> Result<ChangeSet, AwsError> {
    let missing = || AwsError::new("ChangeSetNotFound", format!("ChangeSet [{name}] does not exist")).with_status(404);
    if name.starts_with("arn:") {
        return cx.store().get(SETS, name)?.ok_or_else(missing);
    }
    let stack_name = stack_name.ok_or_else(|| {
        AwsError::validation("StackName must be specified if ChangeSetName is not specified as an ARN.")
    })?;
    let no_stack = || AwsError::validation(format!("Stack [{stack_name}] does not exist"));
    let stack = stack::find(cx, stack_name)?.ok_or_else(no_stack)?;
    of_stack(cx, &stack.id)?
        .into_iter()
        .find(|set| set.name == name)
        .ok_or_else(missing)
}
