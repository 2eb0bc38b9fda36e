//! What differs between two templates, and what that means: replaced resources, lost data, changed permissions.
//!
//! Pure: works on golden templates and on deployed ones alike, without any network. A change set of CloudFormation then
//! [confirms](Change) what only it can know.

mod change;
mod compare;

mod canonical;
mod replacement;
mod text;

mod data_loss;
mod immutable_changes;
mod merge_change_set;
mod security;

pub use change::{Action, Change, PropertyChange};
pub use compare::compare;
pub use data_loss::loss;
pub use immutable_changes::{Refused, refused};
pub use merge_change_set::confirm;
pub use security::{Grant, security};

use serde::Serialize;

/// What `up` would do to one stack.
#[derive(Debug, Clone, Serialize)]
pub struct StackDifference {
    pub stack: String,
    /// `create`, `update`, or `delete`.
    pub action: &'static str,
    pub changes: Vec<Change>,
    /// Permissions that are given or taken away, network paths among them.
    pub security: Vec<Grant>,
    /// What a reader should know about how this was found out.
    pub note: Option<String>,
}
