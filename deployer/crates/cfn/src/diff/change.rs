//! What happens to one resource.

use serde::Serialize;
use serde_json::Value;

use crate::schema::Recreation;

/// What happens to a resource as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Add,
    Modify,
    Remove,
    Import,
    /// CloudFormation cannot tell yet.
    Dynamic,
}

/// What happens to one resource.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// Its logical id.
    pub resource: String,
    /// Its type, such as `AWS::RDS::DBInstance`.
    #[serde(rename = "type")]
    pub kind: String,
    pub action: Action,
    /// Whether a new resource takes its place; `Never` for one that is added or removed.
    pub replacement: Recreation,
    pub properties: Vec<PropertyChange>,
    /// What is gone for good once this is applied, in words.
    pub loss: Option<String>,
}

/// What happens to one property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PropertyChange {
    /// Such as `AllocatedStorage`, or `ContainerDefinitions.app.Environment.LOG_LEVEL`.
    pub name: String,
    /// As the template says it; none where it was not set.
    pub before: Option<String>,
    pub after: Option<String>,
    pub recreation: Recreation,
    /// The resource or parameter from which this change follows.
    pub cause: Option<String>,
}

impl Change {
    /// Whether the resource goes, or may go to make room for a new one.
    pub fn destroys(&self) -> bool {
        self.action == Action::Remove || matches!(self.replacement, Recreation::Always | Recreation::Conditionally)
    }
}

/// Returns the type of a template's resource, such as `AWS::EC2::VPC`; empty without one.
pub(super) fn resource_type(resource: &Value) -> String {
    resource["Type"].as_str().unwrap_or_default().to_owned()
}
