//! The scope of a stack's expressions.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::exports::exports;
use crate::scope::{ResourceValues, Scope};
use crate::stack::{Stack, StackResource};
use crate::template::Template;
use endpoint_core::{AwsError, Context};

/// Returns the scope of a template for a stack: parameters, pseudo parameters, conditions, exports and the given resources.
///
/// # Errors
/// `ValidationError` for a condition that has no value.
pub async fn stack_scope(
    cx: &Context,
    stack: &Stack,
    template: &Template,
    parameter_values: &Map<String, Value>,
    resources: &IndexMap<String, StackResource>,
) -> Result<Scope, AwsError> {
    let pseudo_parameters = [
        ("AWS::AccountId", cx.account().into()),
        ("AWS::NotificationARNs", Value::Array(Vec::new())),
        ("AWS::Partition", "aws".into()),
        ("AWS::Region", cx.region().into()),
        ("AWS::StackId", stack.id.as_str().into()),
        ("AWS::StackName", stack.name.as_str().into()),
        ("AWS::URLSuffix", "amazonaws.com".into()),
    ];
    let parameters = parameter_values
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    let pseudo_parameters = pseudo_parameters
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    let exports = exports(cx)?.into_iter().map(|export| (export.name, export.value));
    let mut scope = Scope {
        names: parameters.chain(pseudo_parameters).collect(),
        exports: exports.collect(),
        resources: resource_values(resources),
        ..Scope::default()
    };
    scope.evaluate_conditions(template)?;
    Ok(scope)
}

/// Returns the values of the resources that exist. `Fn::GetAtt` may also name a property of the template.
pub fn resource_values(resources: &IndexMap<String, StackResource>) -> IndexMap<String, ResourceValues> {
    let values = resources.values().filter_map(|resource| {
        let mut attributes = resource.properties.clone();
        attributes.extend(resource.attributes.clone());
        let values = ResourceValues {
            physical_id: resource.physical_id.clone()?,
            attributes,
        };
        Some((resource.logical_id.clone(), values))
    });
    values.collect()
}
