//! Differences between two templates: changes, the replacements that they cause, data loss, permission changes.
//!
//! Pure: works on golden templates and on deployed ones alike. A change set of CloudFormation then decides what only
//! CloudFormation can know ([`merge_change_set`]).

mod change;
mod compare;

mod canonical;
mod replacement;
mod text;

mod data_loss;
mod merge_change_set;
mod permission_changes;
mod unsupported_updates;

pub use change::{Action, Change, PropertyChange};
pub use compare::compare;
pub use data_loss::data_loss;
pub use merge_change_set::merge_change_set;
pub use permission_changes::{PermissionChange, permission_changes};
pub use unsupported_updates::{UnsupportedUpdate, unsupported_updates};

use serde::Serialize;

/// The effect of `up` on one stack.
#[derive(Debug, Clone, Serialize)]
pub struct StackDifference {
    /// The stack's name.
    pub stack: String,
    /// `create`, `update`, or `delete`.
    pub action: &'static str,
    /// Changed resources.
    pub changes: Vec<Change>,
    /// Permissions that are granted or revoked, network paths among them.
    pub security: Vec<PermissionChange>,
    /// A remark on how the difference was computed.
    pub note: Option<String>,
}
