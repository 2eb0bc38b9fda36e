//! What a template refers to must be there.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::graph;
use super::references::{Reference, references};
use super::scope::Scope;
use super::template::{Template, malformed};
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

/// Checks types, references, conditions and cycles, before anything is made.
///
/// # Errors
/// `ValidationError` in AWS's words, naming what is not there.
pub fn validate(cx: &Context, template: &Template) -> Result<(), AwsError> {
    types(cx, template)?;
    snapshots(cx, template)?;
    for (name, expression) in &template.conditions {
        block(cx, template, expression, "Conditions", Some(name))?;
    }
    let mut unresolved = BTreeSet::new();
    for (id, spec) in &template.resources {
        named_condition(template, spec.condition.as_deref(), "Resources")?;
        match block(cx, template, &Value::Object(spec.properties.clone()), "Resources", None) {
            Ok(missing) => unresolved.extend(missing),
            Err(error) => return Err(error),
        }
        if spec.depends_on.contains(id) {
            return Err(AwsError::validation(format!(
                "Circular dependency between resources: [{id}]"
            )));
        }
        unresolved.extend(
            spec.depends_on
                .iter()
                .filter(|d| !template.resources.contains_key(*d))
                .cloned(),
        );
    }
    refuse(&unresolved, "Resources")?;
    for output in template.outputs.values() {
        named_condition(template, output.condition.as_deref(), "Outputs")?;
        let whole = Value::Array(
            [Some(output.value.clone()), output.export.clone()]
                .into_iter()
                .flatten()
                .collect(),
        );
        refuse(&block(cx, template, &whole, "Outputs", None)?, "Outputs")?;
    }
    Ok(())
}

/// Cycles, once the conditions are known.
pub fn acyclic(template: &Template, scope: &Scope) -> Result<(), AwsError> {
    graph::order(&graph::graph(template, scope))
        .map(|_| ())
        .map_err(|cycle| AwsError::validation(format!("Circular dependency between resources: [{}]", cycle.join(", "))))
}

/// Names of properties against the type's schema: unknown ones, missing ones.
///
/// # Errors
/// The reason for a stack event.
pub fn properties(id: &str, schema: &Schema, properties: &Map<String, Value>) -> Result<(), String> {
    let said = |words: String| {
        Err(format!(
            "Properties validation failed for resource {id} with message: {words}"
        ))
    };
    let odd: Vec<&str> = properties
        .keys()
        .map(String::as_str)
        .filter(|p| !schema.properties.contains(p))
        .collect();
    if !odd.is_empty() {
        return said(
            odd.iter()
                .map(|p| format!("#: extraneous key [{p}] is not permitted"))
                .collect::<Vec<_>>()
                .join("; "),
        );
    }
    let missing: Vec<&str> = schema
        .required
        .iter()
        .copied()
        .filter(|p| !properties.contains_key(*p))
        .collect();
    match missing.is_empty() {
        true => Ok(()),
        false => said(
            missing
                .iter()
                .map(|p| format!("#: required key [{p}] not found"))
                .collect::<Vec<_>>()
                .join("; "),
        ),
    }
}

fn types(cx: &Context, template: &Template) -> Result<(), AwsError> {
    let unknown: BTreeSet<&str> = template
        .resources
        .values()
        .map(|s| s.kind.as_str())
        .filter(|k| cx.resource_type(k).is_none())
        .collect();
    match unknown.is_empty() {
        true => Ok(()),
        false => {
            let names: Vec<&str> = unknown.into_iter().collect();
            Err(malformed(&format!(
                "Unrecognized resource types: [{}]",
                names.join(", ")
            )))
        }
    }
}

/// Only some types can leave a snapshot.
fn snapshots(cx: &Context, template: &Template) -> Result<(), AwsError> {
    let cannot = |kind: &str| cx.resource_type(kind).is_some_and(|kind| !kind.supports_snapshots());
    for spec in template.resources.values() {
        let asked = [&spec.deletion_policy, &spec.update_replace_policy];
        if asked.iter().any(|policy| policy.as_deref() == Some("Snapshot")) && cannot(&spec.kind) {
            return Err(AwsError::validation(format!(
                "Template error: resource type {} does not support deletion policy Snapshot",
                spec.kind
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

fn refuse(unresolved: &BTreeSet<String>, block: &str) -> Result<(), AwsError> {
    if unresolved.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = unresolved.iter().map(String::as_str).collect();
    Err(malformed(&format!(
        "Unresolved resource dependencies [{}] in the {block} block of the template",
        names.join(", ")
    )))
}

/// Checks one block; gives the names that are nowhere.
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
                let Some(spec) = template.resources.get(&resource) else {
                    return Err(AwsError::validation(format!(
                        "Template error: instance of Fn::GetAtt references undefined resource {resource}"
                    )));
                };
                let known = cx
                    .resource_type(&spec.kind)
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
