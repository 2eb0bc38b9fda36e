//! Evaluation of a template with the parameters of a request, before anything is created: what has no value is refused here.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::expression::EvaluationError;
use crate::graph::{graph, order};
use crate::references::{Reference, references};
use crate::rules;
use crate::scope::Scope;
use crate::stack::Stack;
use crate::stack_scope::stack_scope;
use crate::template::{Template, malformed};
use endpoint_core::{AwsError, Context};

/// Checks the rules, conditions, policies and expressions of a template with the parameters of a request. Resources have no
/// values yet.
///
/// # Errors
/// `ValidationError` for a rule that does not hold, an expression that has no value, a reference to a resource whose condition
/// does not hold, or resources that depend on each other in a circle.
pub async fn check(
    cx: &Context,
    stack: &Stack,
    template: &Template,
    parameter_values: &Map<String, Value>,
) -> Result<(), AwsError> {
    let mut scope = stack_scope(cx, stack, template, parameter_values, &IndexMap::new()).await?;
    scope.preview = true;
    rules::check(cx, template, &scope).await?;
    let holds = |condition: &Option<String>| scope.condition_holds(condition.as_deref());
    let mut absent = BTreeSet::new();
    for (id, resource) in template
        .resources
        .iter()
        .filter(|(_, resource)| holds(&resource.condition))
    {
        let policies = scope.policies(id, resource)?;
        let takes_snapshot = [&policies.deletion, &policies.update_replace]
            .into_iter()
            .any(|policy| policy.as_deref() == Some("Snapshot"));
        let supports_snapshots = cx
            .resource_type(&resource.resource_type)
            .is_some_and(|resource_type| resource_type.supports_snapshots());
        if takes_snapshot && !supports_snapshots {
            return Err(AwsError::validation(format!(
                "Template error: resource type {} does not support deletion policy Snapshot",
                resource.resource_type
            )));
        }
        let properties = Value::Object(resource.properties.clone());
        absent.extend(absent_resources(template, &scope, &properties));
        has_value(&scope, &properties)?;
    }
    if let Some(message) = unresolved(&absent, "Resources") {
        return Err(malformed(&message));
    }
    for output in template.outputs.values().filter(|output| holds(&output.condition)) {
        for expression in [Some(&output.value), output.export.as_ref()].into_iter().flatten() {
            if let Some(message) = unresolved(&absent_resources(template, &scope, expression), "Outputs") {
                return Err(AwsError::validation(message));
            }
            has_value(&scope, expression)?;
        }
    }
    order(&graph(template, &scope))
        .map(|_| ())
        .map_err(|cycle| AwsError::validation(format!("Circular dependency between resources: [{}]", cycle.join(", "))))
}

/// Evaluates an expression. An export that does not exist fails the stack, not the request.
fn has_value(scope: &Scope, expression: &Value) -> Result<(), EvaluationError> {
    match scope.value(expression) {
        Ok(_) | Err(EvaluationError::NoExport(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Returns the resources that an expression refers to and whose condition does not hold.
fn absent_resources(template: &Template, scope: &Scope, expression: &Value) -> BTreeSet<String> {
    let used = references(expression, &|name| scope.conditions.get(name).copied());
    let names = used.into_iter().filter_map(|reference| match reference {
        Reference::Name(name) | Reference::Attribute(name, _) => Some(name),
        _ => None,
    });
    let is_absent = |name: &String| {
        let resource = template.resources.get(name);
        resource.is_some_and(|resource| !scope.condition_holds(resource.condition.as_deref()))
    };
    names.filter(is_absent).collect()
}

/// Returns the message for names that do not exist in a block; `None` if there are none.
pub fn unresolved(names: &BTreeSet<String>, block: &str) -> Option<String> {
    let list = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    (!names.is_empty())
        .then(|| format!("Unresolved resource dependencies [{list}] in the {block} block of the template"))
}
