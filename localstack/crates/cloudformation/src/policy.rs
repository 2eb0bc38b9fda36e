//! The attributes `DeletionPolicy` and `UpdateReplacePolicy` of resources.
//!
//! Both may be functions of parameters, mappings and conditions, also without a transform (recorded on AWS by LocalStack's tests
//! `engine/test_deletion_policy.py` and `engine/test_update_policy.py`).

use serde_json::Value;

use crate::expression::EvaluationError;
use crate::references::function;
use crate::scope::Scope;
use crate::template::{TemplateResource, malformed};
use endpoint_core::AwsError;

const DELETION: (&str, &[&str]) = (
    "DeletionPolicy",
    &["Delete", "Retain", "Snapshot", "RetainExceptOnCreate"],
);
const UPDATE_REPLACE: (&str, &[&str]) = ("UpdateReplacePolicy", &["Delete", "Retain", "Snapshot"]);
const FUNCTIONS: &[&str] = &["Ref", "Fn::If", "Fn::FindInMap"];

/// The values of a resource's policies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies {
    pub deletion: Option<String>,
    pub update_replace: Option<String>,
}

impl Scope {
    /// Evaluates the policies of a resource.
    ///
    /// # Errors
    /// A policy that has no value, or a value that is no policy.
    pub fn policies(&self, id: &str, resource: &TemplateResource) -> Result<Policies, EvaluationError> {
        Ok(Policies {
            deletion: self.policy(id, DELETION, resource.deletion_policy.as_ref())?,
            update_replace: self.policy(id, UPDATE_REPLACE, resource.update_replace_policy.as_ref())?,
        })
    }

    fn policy(
        &self,
        id: &str,
        (attribute, permitted): (&'static str, &[&str]),
        expression: Option<&Value>,
    ) -> Result<Option<String>, EvaluationError> {
        let value = expression.map(|expression| self.value(expression)).transpose()?;
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(policy)) if permitted.contains(&policy.as_str()) => Ok(Some(policy)),
            Some(value) => Err(EvaluationError::Policy {
                attribute,
                value,
                resource: id.to_owned(),
            }),
        }
    }
}

/// Checks that each policy of a resource is a permitted text, or a function that can return one.
///
/// # Errors
/// `ValidationError` that names the attribute and the resource.
pub fn check_form(id: &str, resource: &TemplateResource) -> Result<(), AwsError> {
    let policies = [
        (DELETION, &resource.deletion_policy),
        (UPDATE_REPLACE, &resource.update_replace_policy),
    ];
    for ((attribute, permitted), expression) in policies {
        let Some(expression) = expression else { continue };
        let is_valid = match expression {
            Value::String(policy) => permitted.contains(&policy.as_str()),
            _ => function(expression).is_some_and(|(name, _)| FUNCTIONS.contains(&name)),
        };
        if !is_valid {
            let shown = expression
                .as_str()
                .map_or_else(|| expression.to_string(), str::to_owned);
            return Err(malformed(&format!(
                "Unrecognized {attribute} {shown} for resource {id}"
            )));
        }
    }
    Ok(())
}
