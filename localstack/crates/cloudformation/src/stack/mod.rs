//! The stored state of stacks, and their events.

mod event;
mod store;

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::parameter::Parameters;

pub use event::{StackEvent, events};
pub use store::{all, delete, edit, existing, find, insert};

/// A stack; deleted ones are kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Stack {
    pub id: String,
    pub name: String,
    pub status: String,
    pub reason: Option<String>,
    pub created: String,
    pub updated: Option<String>,
    pub deleted: Option<String>,
    /// The definition that the stack has, or that the running operation establishes.
    pub definition: StackDefinition,
    /// The state before the update that runs or failed, which a rollback restores.
    pub previous: Option<Box<PreviousState>>,
    pub resources: IndexMap<String, StackResource>,
    pub outputs: Vec<Output>,
    /// Names of exports of other stacks that this one uses.
    pub imports: BTreeSet<String>,
    /// Resources that are no longer part of the stack and are still to be deleted.
    pub pending_deletion: Vec<StackResource>,
    pub capabilities: Vec<String>,
    pub on_failure: OnFailure,
    pub termination_protection: bool,
    pub timeout_minutes: Option<u64>,
    pub change_set: Option<String>,
    pub drift: Option<String>,
    pub drift_checked: Option<String>,
    /// The client request token of the operation, which its events show.
    pub token: Option<String>,
}

/// The template, parameters and tags of a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StackDefinition {
    pub template_body: String,
    pub parameters: Parameters,
    /// The value of `Ref` for each parameter.
    pub parameter_values: Map<String, Value>,
    pub tags: Vec<(String, String)>,
}

/// The state of a stack before its update.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PreviousState {
    pub definition: StackDefinition,
    pub resources: IndexMap<String, StackResource>,
    pub outputs: Vec<Output>,
    pub imports: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    #[default]
    Rollback,
    Delete,
    DoNothing,
}

/// One resource of a stack.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StackResource {
    pub logical_id: String,
    /// Such as `AWS::Logs::LogGroup`.
    pub resource_type: String,
    pub physical_id: Option<String>,
    pub status: String,
    pub reason: Option<String>,
    pub updated: String,
    /// The properties that the resource type received last; dynamic references are stored unresolved.
    pub properties: Map<String, Value>,
    /// The stack's tags at the last creation or update.
    pub tags: Vec<(String, String)>,
    pub attributes: Map<String, Value>,
    pub metadata: Option<Value>,
    /// Logical ids of the resources that must be deleted after this one.
    pub depends_on: BTreeSet<String>,
    pub deletion_policy: Option<String>,
    pub update_replace_policy: Option<String>,
    /// True if the operation that runs or failed created it.
    pub is_new: bool,
    pub drift: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    pub key: String,
    pub value: String,
    pub description: Option<String>,
    pub export: Option<String>,
}

impl Stack {
    pub fn is_deleted(&self) -> bool {
        self.status == "DELETE_COMPLETE"
    }

    /// Returns true if an operation runs on the stack, or was interrupted.
    pub fn is_in_progress(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS") && self.status != "REVIEW_IN_PROGRESS"
    }
}

/// Returns the current time as CloudFormation formats it, UTC with milliseconds.
pub fn now() -> String {
    let at = OffsetDateTime::now_utc();
    let at = at
        .replace_nanosecond(u32::from(at.millisecond()) * 1_000_000)
        .unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}
