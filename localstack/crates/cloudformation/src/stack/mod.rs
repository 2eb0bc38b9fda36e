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
use crate::template::Template;
use endpoint_core::{AwsError, Context};

pub use event::{StackEvent, events};
pub use store::{all, delete, edit, existing, find, forget_deleted, insert, names};

/// The member of `CreateStack` with the id of a nested stack, which its parent has chosen. No client can send it: the model of the API does
/// not have it.
pub const NEW_ID: &str = "NewStackId";

/// Returns an id for a new stack.
pub fn new_id(cx: &Context, name: &str) -> String {
    cx.arn("cloudformation", &format!("stack/{name}/{}", uuid::Uuid::new_v4()))
}

/// A stack; deleted ones are kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Stack {
    /// ARN, unique among stacks of one name.
    pub id: String,
    /// Unique among stacks that are not deleted.
    pub name: String,
    /// Such as `UPDATE_ROLLBACK_COMPLETE`.
    pub status: String,
    /// The `StackStatusReason`.
    pub reason: Option<String>,
    /// RFC 3339, as all times here.
    pub created: String,
    /// Start of the last update.
    pub updated: Option<String>,
    /// End of the deletion.
    pub deleted: Option<String>,
    /// The definition that the stack has, or that the running operation establishes.
    pub definition: StackDefinition,
    /// The state before the update that runs or failed, which a rollback restores.
    pub previous: Option<Box<PreviousState>>,
    /// By logical id.
    pub resources: IndexMap<String, StackResource>,
    /// As of the last complete operation.
    pub outputs: Vec<Output>,
    /// Names of exports of other stacks that this one uses.
    pub imports: BTreeSet<String>,
    /// Resources that are no longer part of the stack and are still to be deleted.
    pub pending_deletion: Vec<StackResource>,
    /// Acknowledged capabilities, such as `CAPABILITY_IAM`.
    pub capabilities: Vec<String>,
    /// Applies to creations only.
    pub on_failure: OnFailure,
    /// ARN of the service role of the last operation that named one.
    #[serde(default)]
    pub role: Option<String>,
    /// Refuses `DeleteStack` when true.
    pub termination_protection: bool,
    /// Limit of the creation.
    pub timeout_minutes: Option<u64>,
    /// ARN of the change set that was executed last.
    pub change_set: Option<String>,
    /// `IN_SYNC` or `DRIFTED`; `None` if never checked.
    pub drift: Option<String>,
    /// Time of the last drift detection.
    pub drift_checked: Option<String>,
    /// The client request token of the operation, which its events show.
    pub token: Option<String>,
}

/// The template, parameters and tags of a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StackDefinition {
    /// As it was sent: JSON or YAML.
    pub template_body: String,
    /// The template after its transforms, JSON; `None` for a template without transforms.
    #[serde(default)]
    pub processed_template: Option<String>,
    /// Values as they were sent.
    pub parameters: Parameters,
    /// The value of `Ref` for each parameter.
    pub parameter_values: Map<String, Value>,
    /// Tags of the stack, which its resources inherit.
    pub tags: Vec<(String, String)>,
}

impl StackDefinition {
    /// Returns the template that is deployed: the processed one.
    pub fn template_text(&self) -> &str {
        self.processed_template.as_ref().unwrap_or(&self.template_body)
    }

    /// Parses the template that is deployed.
    ///
    /// # Errors
    /// As for `Template::parse`.
    pub fn template(&self) -> Result<Template, AwsError> {
        Template::parse(self.template_text())
    }
}

/// The state of a stack before its update.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PreviousState {
    /// Template, parameters and tags.
    pub definition: StackDefinition,
    /// By logical id.
    pub resources: IndexMap<String, StackResource>,
    /// Values before the update.
    pub outputs: Vec<Output>,
    /// Exports that the stack used.
    pub imports: BTreeSet<String>,
}

/// The choice of `CreateStack` after a failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    /// Deletes the resources and keeps the stack; the default.
    #[default]
    Rollback,
    /// Deletes the resources and the stack.
    Delete,
    /// Leaves the resources.
    DoNothing,
}

/// One resource of a stack.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StackResource {
    /// Key in the template.
    pub logical_id: String,
    /// Such as `AWS::Logs::LogGroup`.
    pub resource_type: String,
    /// The value of `Ref`, once the creation is initiated.
    pub physical_id: Option<String>,
    /// Such as `CREATE_COMPLETE`.
    pub status: String,
    /// The `ResourceStatusReason`.
    pub reason: Option<String>,
    /// Time of the last status.
    pub updated: String,
    /// The properties that the resource type received last; dynamic references are stored unresolved.
    pub properties: Map<String, Value>,
    /// The stack's tags at the last creation or update.
    pub tags: Vec<(String, String)>,
    /// The values of `Fn::GetAtt`.
    pub attributes: Map<String, Value>,
    /// The `Metadata` of the template.
    pub metadata: Option<Value>,
    /// Logical ids of the resources that must be deleted after this one.
    pub depends_on: BTreeSet<String>,
    /// `Delete`, `Retain`, `RetainExceptOnCreate` or `Snapshot`.
    pub deletion_policy: Option<String>,
    /// `Delete`, `Retain` or `Snapshot`.
    pub update_replace_policy: Option<String>,
    /// True if the operation that runs or failed created it.
    pub is_new: bool,
    /// The result of the last drift detection.
    pub drift: Option<Value>,
}

/// An output with its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Key in the template.
    pub key: String,
    /// Text, as for all outputs.
    pub value: String,
    /// Text of the template.
    pub description: Option<String>,
    /// Name of the export.
    pub export: Option<String>,
}

impl Stack {
    /// Returns true if the stack is listed as deleted only.
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
    format(OffsetDateTime::now_utc())
}

/// Formats a time as CloudFormation does; texts of this form sort by time.
fn format(at: OffsetDateTime) -> String {
    let at = at
        .replace_nanosecond(u32::from(at.millisecond()) * 1_000_000)
        .unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}
