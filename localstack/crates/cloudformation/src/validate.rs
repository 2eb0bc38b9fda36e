//! Validation of a template's types and references.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::graph;
use crate::references::{Reference, references};
use crate::scope::Scope;
use crate::template::{Template, malformed};
use endpoint_core::{AwsError, Context, Schema};

const PSEUDO: &[&str] = &[
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// Validates types, references and conditions before an operation.
///
/// # Errors
/// `ValidationError` with AWS's wording that names what does not exist.
pub fn validate(cx: &Context, template: &Template) -> Result<(), AwsError> {
    types(cx, template)?;
    snapshots(cx, template)?;
    for (name, expression) in &template.conditions {
        block(cx, template, expression, "Conditions", Some(name))?;
    }
    let mut unresolved = BTreeSet::new();
    for (id, resource) in &template.resources {
        named_condition(template, resource.condition.as_deref(), "Resources")?;
        let properties = Value::Object(resource.properties.clone());
        unresolved.extend(block(cx, template, &properties, "Resources", None)?);
        if resource.depends_on.contains(id) {
            return Err(AwsError::validation(format!(
                "Circular dependency between resources: [{id}]"
            )));
        }
        unresolved.extend(
            resource
                .depends_on
                .iter()
                .filter(|d| !template.resources.contains_key(*d))
                .cloned(),
        );
    }
    reject_unresolved(&unresolved, "Resources")?;
    for output in template.outputs.values() {
        named_condition(template, output.condition.as_deref(), "Outputs")?;
        let expressions = Value::Array(
            [Some(output.value.clone()), output.export.clone()]
                .into_iter()
                .flatten()
                .collect(),
        );
        reject_unresolved(&block(cx, template, &expressions, "Outputs", None)?, "Outputs")?;
    }
    Ok(())
}

/// Checks that the resources whose conditions hold do not depend on each other in a circle.
///
/// # Errors
/// `ValidationError` that names the members of the circle.
pub fn acyclic(template: &Template, scope: &Scope) -> Result<(), AwsError> {
    graph::order(&graph::graph(template, scope))
        .map(|_| ())
        .map_err(|cycle| AwsError::validation(format!("Circular dependency between resources: [{}]", cycle.join(", "))))
}

/// Properties that do not match the schema of their resource type, with CloudFormation's wording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertiesError {
    #[error("{}", invalid_properties(resource, names, |name| format!("#: extraneous key [{name}] is not permitted")))]
    Unknown { resource: String, names: Vec<String> },
    #[error("{}", invalid_properties(resource, names, |name| format!("#: required key [{name}] not found")))]
    Missing { resource: String, names: Vec<String> },
}

fn invalid_properties(resource: &str, names: &[String], message: impl Fn(&String) -> String) -> String {
    let messages: Vec<String> = names.iter().map(message).collect();
    let messages = messages.join("; ");
    format!("Properties validation failed for resource {resource} with message: {messages}")
}

/// Checks the names of properties against the schema of their resource type.
///
/// # Errors
/// When a property is unknown, or a required one is missing.
pub fn properties(id: &str, schema: &Schema, properties: &Map<String, Value>) -> Result<(), PropertiesError> {
    let unknown: Vec<String> = properties
        .keys()
        .filter(|name| !schema.properties.contains(&name.as_str()))
        .cloned()
        .collect();
    let resource = id.to_owned();
    if !unknown.is_empty() {
        return Err(PropertiesError::Unknown {
            resource,
            names: unknown,
        });
    }
    let required = schema.required.iter().filter(|name| !properties.contains_key(**name));
    let missing: Vec<String> = required.map(|name| (*name).to_owned()).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(PropertiesError::Missing {
            resource,
            names: missing,
        })
    }
}

fn types(cx: &Context, template: &Template) -> Result<(), AwsError> {
    let unknown: BTreeSet<&str> = template
        .resources
        .values()
        .map(|r| r.resource_type.as_str())
        .filter(|k| cx.resource_type(k).is_none())
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        let names: Vec<&str> = unknown.into_iter().collect();
        Err(malformed(&format!(
            "Unrecognized resource types: [{}]",
            names.join(", ")
        )))
    }
}

/// Checks that only types that support snapshots have a policy `Snapshot`.
fn snapshots(cx: &Context, template: &Template) -> Result<(), AwsError> {
    let lacks_snapshots = |name: &str| cx.resource_type(name).is_some_and(|one| !one.supports_snapshots());
    for resource in template.resources.values() {
        let policies = [&resource.deletion_policy, &resource.update_replace_policy];
        let mut policies = policies.into_iter();
        if policies.any(|policy| policy.as_deref() == Some("Snapshot")) && lacks_snapshots(&resource.resource_type) {
            return Err(AwsError::validation(format!(
                "Template error: resource type {} does not support deletion policy Snapshot",
                resource.resource_type
            )));
        }
    }
    Ok(())
}

fn named_condition(template: &Template, condition: Option<&str>, block: &str) -> Result<(), AwsError> {
    match condition {
        Some(name) if !template.conditions.contains_key(name) => Err(malformed(&format!(
            "Unresolved condition dependency {name} in the {block} block of the template"
        ))),
        _ => Ok(()),
    }
}

fn reject_unresolved(unresolved: &BTreeSet<String>, block: &str) -> Result<(), AwsError> {
    if unresolved.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = unresolved.iter().map(String::as_str).collect();
    Err(malformed(&format!(
        "Unresolved resource dependencies [{}] in the {block} block of the template",
        names.join(", ")
    )))
}

/// Checks one block, and returns the names that do not exist.
fn block(
    cx: &Context,
    template: &Template,
    value: &Value,
    block: &str,
    condition: Option<&str>,
) -> Result<BTreeSet<String>, AwsError> {
    let mut unresolved = BTreeSet::new();
    for reference in references(value, &|_| None) {
        match reference {
            Reference::Name(name) => {
                let is_known = PSEUDO.contains(&name.as_str()) || template.parameters.contains_key(&name);
                let is_resource = condition.is_none() && template.resources.contains_key(&name);
                if condition.is_some() && !is_known {
                    return Err(malformed(&format!(
                        "Unresolved dependencies [{name}]. Cannot reference resources in the Conditions block of the template"
                    )));
                }
                if !is_known && !is_resource {
                    unresolved.insert(name);
                }
            }
            Reference::Attribute(resource, attribute) => {
                let Some(declared) = template.resources.get(&resource) else {
                    return Err(AwsError::validation(format!(
                        "Template error: instance of Fn::GetAtt references undefined resource {resource}"
                    )));
                };
                let known = cx
                    .resource_type(&declared.resource_type)
                    .map(|t| t.schema().attributes)
                    .unwrap_or_default();
                let is_known = known
                    .iter()
                    .any(|k| attribute == *k || attribute.strip_prefix(k).is_some_and(|rest| rest.starts_with('.')));
                if !is_known {
                    return Err(AwsError::validation(format!(
                        "Template error: resource {resource} does not support attribute type {attribute} in Fn::GetAtt"
                    )));
                }
            }
            Reference::Condition(name) => named_condition(template, Some(&name), block)?,
            Reference::Map(name) if !template.mappings.contains_key(&name) => {
                return Err(AwsError::validation(format!(
                    "Template error: Mapping named '{name}' is not present in the 'Mappings' section of template."
                )));
            }
            Reference::Map(_) | Reference::Import => {}
        }
    }
    Ok(unresolved)
}
