//! Validation of a template's types and references.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::references::{Reference, references};
use crate::request_values::unresolved;
use crate::template::{Template, malformed};
use crate::{function_form, policy};
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
    for (name, expression) in &template.conditions {
        function_form::check(expression, template.is_extended)?;
        block(cx, template, expression, "Conditions", Some(name))?;
    }
    let mut unresolved = BTreeSet::new();
    for (id, resource) in &template.resources {
        named_condition(template, resource.condition.as_deref(), "Resources")?;
        policy::check_form(id, resource)?;
        let attributes = [&resource.deletion_policy, &resource.update_replace_policy];
        let attributes = attributes.into_iter().flatten().cloned();
        let properties = attributes.chain([Value::Object(resource.properties.clone())]).collect();
        function_form::check(&properties, template.is_extended)?;
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
        function_form::check(&expressions, template.is_extended)?;
        reject_unresolved(&block(cx, template, &expressions, "Outputs", None)?, "Outputs")?;
    }
    Ok(())
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

fn named_condition(template: &Template, condition: Option<&str>, block: &str) -> Result<(), AwsError> {
    match condition {
        Some(name) if !template.conditions.contains_key(name) => Err(malformed(&format!(
            "Unresolved condition dependency {name} in the {block} block of the template"
        ))),
        _ => Ok(()),
    }
}

fn reject_unresolved(names: &BTreeSet<String>, block: &str) -> Result<(), AwsError> {
    unresolved(names, block).map_or(Ok(()), |message| Err(malformed(&message)))
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
                let resource_type = cx.resource_type(&declared.resource_type);
                if !resource_type.is_some_and(|one| has_attribute(&one.schema(), &attribute)) {
                    return Err(AwsError::validation(format!(
                        "Template error: resource {resource} does not support attribute type {attribute} in Fn::GetAtt"
                    )));
                }
            }
            Reference::Condition(name) if condition.is_some() => named_condition(template, Some(&name), block)?,
            Reference::Condition(name) if !template.conditions.contains_key(&name) => {
                return Err(AwsError::validation(format!(
                    "Template error: unresolved condition dependency {name} in Fn::If"
                )));
            }
            Reference::Map(name) if !template.mappings.contains_key(&name) => {
                return Err(AwsError::validation(format!(
                    "Template error: Mapping named '{name}' is not present in the 'Mappings' section of template."
                )));
            }
            Reference::Condition(_) | Reference::Map(_) | Reference::Import => {}
        }
    }
    Ok(unresolved)
}

/// Returns true if `Fn::GetAtt` may name an attribute: one that the type returns, or a property that can be read.
fn has_attribute(schema: &Schema, attribute: &str) -> bool {
    let is_readable = |name: &&&str| !schema.write_only.contains(*name);
    let properties = schema.properties.iter().filter(is_readable);
    schema.attributes.iter().chain(properties).any(|known| {
        let rest = attribute.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}
