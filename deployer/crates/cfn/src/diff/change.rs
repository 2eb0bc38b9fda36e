//! Changes of resources.

use serde::Serialize;
use serde_json::Value;

use crate::schema::Recreation;

/// The operation on a resource, in the terms of a change set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The resource is created.
    Add,
    /// The resource is updated or replaced.
    Modify,
    /// The resource is deleted.
    Remove,
    /// An existing resource becomes part of the stack.
    Import,
    /// CloudFormation decides during the execution.
    Dynamic,
}

/// The change of one resource.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// The resource's logical ID.
    #[serde(rename = "resource")]
    pub logical_id: String,
    /// The resource's type, such as `AWS::RDS::DBInstance`.
    pub resource_type: String,
    /// The operation.
    pub action: Action,
    /// The replacement of the resource by a new one; `Never` for a resource that is added or removed.
    pub replacement: Recreation,
    /// Changed properties.
    pub properties: Vec<PropertyChange>,
    /// Description of the data that is lost for good.
    pub loss: Option<String>,
}

/// The change of one property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PropertyChange {
    /// Such as `AllocatedStorage`, or `ContainerDefinitions.app.Environment.LOG_LEVEL`.
    pub name: String,
    /// The former value in the template; `None` if it was not set.
    pub before: Option<String>,
    /// The new value in the template; `None` if it is no longer set.
    pub after: Option<String>,
    /// The effect on the resource.
    pub recreation: Recreation,
    /// The resource or parameter whose change causes this one.
    pub cause: Option<String>,
}

impl Change {
    /// Returns true if the resource is deleted, or may be deleted in a replacement.
    pub fn destroys(&self) -> bool {
        self.action == Action::Remove || matches!(self.replacement, Recreation::Always | Recreation::Conditionally)
    }
}

/// Returns the type of a template's resource, such as `AWS::EC2::VPC`; empty without one.
pub(super) fn resource_type(resource: &Value) -> String {
    resource["Type"].as_str().unwrap_or_default().to_owned()
}
