//! Protection against deletion: the termination protection of a stack, and the deletion protection of its resources.

mod service;
mod template;

use std::fmt;

use serde::Serialize;

pub use service::{disable_protection, find_protections};
pub use template::unprotected_template;

/// A protection that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Protection {
    /// The name of the stack.
    pub stack: String,
    /// The logical ID of the resource; `None` for the stack itself.
    #[serde(rename = "resource")]
    pub logical_id: Option<String>,
    /// The CloudFormation type; `AWS::CloudFormation::Stack` for the stack itself.
    pub resource_type: String,
    /// The physical ID of the resource, or the ARN of the stack.
    pub physical_id: String,
    /// True if the stack's template declares it; otherwise it was set outside the template.
    pub declared: bool,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stack, resource_type) = (&self.stack, &self.resource_type);
        match &self.logical_id {
            None => write!(f, "stack {stack} has termination protection"),
            Some(resource) => {
                let origin = if self.declared {
                    ""
                } else {
                    ", set outside the template"
                };
                write!(
                    f,
                    "{resource} of {stack} ({resource_type}) has deletion protection{origin}"
                )
            }
        }
    }
}

impl Protection {
    /// Returns a noun phrase, `the termination protection of stack shop-prod-data`.
    pub fn noun(&self) -> String {
        let (stack, resource_type) = (&self.stack, &self.resource_type);
        match &self.logical_id {
            None => format!("the termination protection of stack {stack}"),
            Some(resource) => format!("the deletion protection of {resource} in {stack} ({resource_type})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protection_set_outside_the_template_says_so() {
        let protection = Protection {
            stack: "shop-prod-data".into(),
            logical_id: Some("Db".into()),
            resource_type: "AWS::RDS::DBInstance".into(),
            physical_id: "db-1".into(),
            declared: false,
        };
        insta::assert_snapshot!(protection, @"Db of shop-prod-data (AWS::RDS::DBInstance) has deletion protection, set outside the template");
    }
}
