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
mod named_replacement;
mod outputs;
mod permission_changes;
mod unsupported_updates;
mod update_warnings;

pub use change::{Action, Change, PropertyChange};
pub use compare::{compare, compare_with};
pub use data_loss::data_loss;
pub use merge_change_set::merge_change_set;
pub use outputs::changed_outputs;
pub use permission_changes::{PermissionChange, permission_changes};
pub use unsupported_updates::{UnsupportedUpdate, unsupported_updates};
pub use update_warnings::{UpdateWarning, update_warnings};

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
