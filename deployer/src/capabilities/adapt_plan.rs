//! A plan that an endpoint can deploy: without the resources whose types it does not support.

use std::collections::{BTreeMap, BTreeSet};

use aws::{Capability, EndpointKind, Session};
use platform::stacks::{Plan, Source, Stack};
use serde_json::Value;

use super::fallback::{Fallback, fallback};
use super::unsupported_types::unsupported_types;
use super::{Error, Result, database_passwords, public_name, this_machine};

/// Properties without which a resource works: alarms that roll a deployment back.
const OPTIONAL_PROPERTIES: [(&str, &[&str]); 1] = [("AWS::ECS::Service", &["DeploymentConfiguration", "Alarms"])];

/// A type that an endpoint does not support and the platform needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedType {
    pub resource_type: String,
    /// The remedy, if there is one.
    pub remedy: Option<&'static str>,
}

/// The types that were omitted from a plan, each with its number of resources and the reason why it is not needed.
pub type OmittedTypes = BTreeMap<String, (usize, &'static str)>;

/// A plan for an endpoint, and what differs from the original one.
#[derive(Debug)]
pub struct AdaptedPlan {
    pub plan: Plan,
    pub warnings: Vec<String>,
}

/// Omits what an imitation of AWS does not support, if the platform runs without it.
///
/// # Errors
/// The platform needs an unsupported type or capability, or a request fails. Nothing has been created.
pub async fn adapt_plan(aws: &Session, mut plan: Plan) -> Result<AdaptedPlan> {
    let endpoint = aws.endpoint();
    let mut warnings = Vec::new();
    if endpoint.kind == EndpointKind::Embedded {
        warnings.extend(this_machine::run_tasks_here(&mut plan));
        warnings.extend(public_name::serve_here(&mut plan));
    }
    if !endpoint.is_foreign() {
        return Ok(AdaptedPlan { plan, warnings });
    }
    if endpoint.lacks(Capability::Outputs) {
        let endpoint = endpoint.to_string();
        return Err(Error::NoOutputs { endpoint });
    }
    if endpoint.lacks(Capability::ManagedDatabasePasswords) && database_passwords::generate(&mut plan) {
        warnings.push(format!(
            "{endpoint} does not support RDS-managed passwords; generating secrets in the data stack instead"
        ));
    }
    let unsupported = unsupported_types(aws, &plan).await?;
    if unsupported.is_empty() {
        return Ok(AdaptedPlan { plan, warnings });
    }
    let (plan, omitted) = without(plan, &unsupported).map_err(|types| Error::UnsupportedTypes {
        endpoint: endpoint.to_string(),
        types,
    })?;
    warnings.extend(omissions(&omitted, &unsupported, &endpoint.to_string()));
    Ok(AdaptedPlan { plan, warnings })
}

/// Returns a line for each reason: the omitted types, the number of each, and why they are not needed.
fn omissions(omitted: &OmittedTypes, unsupported: &BTreeSet<String>, endpoint: &str) -> Vec<String> {
    let mut reasons: BTreeMap<(bool, &str), Vec<String>> = BTreeMap::new();
    for (resource_type, (count, why)) in omitted {
        let reason = (!unsupported.contains(resource_type), *why);
        let types = reasons.entry(reason).or_default();
        types.push(format!("{resource_type} ({count})"));
    }
    let line = |((is_consequence, why), types): ((bool, &str), Vec<String>)| {
        let because = if is_consequence {
            "refers to an omitted resource".to_owned()
        } else {
            format!("not supported by {endpoint}")
        };
        format!("omitted: {}; {because}; {why}", types.join(", "))
    };
    reasons.into_iter().map(line).collect()
}

/// Returns the plan without these types.
///
/// # Errors
/// The types that the platform needs.
pub fn without(mut plan: Plan, unsupported: &BTreeSet<String>) -> Result<(Plan, OmittedTypes), Vec<UnsupportedType>> {
    let needed: Vec<UnsupportedType> = unsupported.iter().filter_map(|name| needed_type(name)).collect();
    if !needed.is_empty() {
        return Err(needed);
    }
    let mut omitted = OmittedTypes::new();
    let mut lost = BTreeSet::new();
    for stack in &mut plan.stacks {
        remove_types(stack, unsupported, &mut lost, &mut omitted)?;
    }
    let is_empty = |stack: &&Stack| {
        let resources = stack.template["Resources"].as_object();
        resources.is_none_or(serde_json::Map::is_empty)
    };
    let empty = plan.stacks.iter().filter(is_empty);
    let empty: BTreeSet<String> = empty.map(|stack| stack.name.clone()).collect();
    plan.stacks.retain(|stack| !empty.contains(&stack.name));
    for stack in &mut plan.stacks {
        stack.depends_on.retain(|name| !empty.contains(name));
    }
    Ok((plan, omitted))
}

fn needed_type(resource_type: &str) -> Option<UnsupportedType> {
    let remedy = match fallback(resource_type) {
        Fallback::Omit(_) => return None,
        Fallback::UseSetting(remedy) => Some(remedy),
        Fallback::None => None,
    };
    Some(UnsupportedType {
        resource_type: resource_type.to_owned(),
        remedy,
    })
}

/// Removes the resources of unsupported types from a stack, with everything that refers to them. `lost` contains the outputs that
/// earlier stacks have lost, by stack and name.
fn remove_types(
    stack: &mut Stack,
    unsupported: &BTreeSet<String>,
    lost: &mut BTreeSet<(String, String)>,
    omitted: &mut OmittedTypes,
) -> Result<(), Vec<UnsupportedType>> {
    let is_lost = |source: &Source| match source {
        Source::Output { stack, output } => lost.contains(&(stack.clone(), output.clone())),
        _ => false,
    };
    let mut removed: BTreeSet<String> = stack
        .parameters
        .iter()
        .filter(|parameter| is_lost(&parameter.source))
        .map(|parameter| parameter.name.clone())
        .collect();
    stack.parameters.retain(|parameter| !removed.contains(&parameter.name));
    if let Some(parameters) = section(&mut stack.template, "Parameters") {
        parameters.retain(|name, _| !removed.contains(name));
    }
    let Some(resources) = section(&mut stack.template, "Resources") else {
        return Ok(());
    };
    loop {
        remove_optional_properties(resources, &removed);
        let type_of = |resource: &Value| resource["Type"].as_str().unwrap_or_default().to_owned();
        let hit =
            |resource: &Value| unsupported.contains(&type_of(resource)) || refers_to(&resource["Properties"], &removed);
        let Some(id) = resources
            .iter()
            .find(|(_, resource)| hit(resource))
            .map(|(id, _)| id.clone())
        else {
            break;
        };
        let resource_type = type_of(&resources[&id]);
        let Fallback::Omit(why) = fallback(&resource_type) else {
            return Err(vec![UnsupportedType {
                resource_type: format!("the resources to which {id} ({resource_type}) refers"),
                remedy: None,
            }]);
        };
        omitted.entry(resource_type).or_insert((0, why)).0 += 1;
        resources.remove(&id);
        removed.insert(id);
    }
    for resource in resources.values_mut() {
        if let Some(earlier) = resource.get_mut("DependsOn").and_then(Value::as_array_mut) {
            earlier.retain(|id| id.as_str().is_none_or(|id| !removed.contains(id)));
        } else if resource
            .get("DependsOn")
            .and_then(Value::as_str)
            .is_some_and(|id| removed.contains(id))
            && let Some(resource) = resource.as_object_mut()
        {
            resource.remove("DependsOn");
        }
    }
    if let Some(outputs) = section(&mut stack.template, "Outputs") {
        outputs.retain(|name, output| {
            let valid = !refers_to(output, &removed);
            if !valid {
                lost.insert((stack.name.clone(), name.clone()));
            }
            valid
        });
    }
    Ok(())
}

/// Removes optional properties that refer to removed resources.
fn remove_optional_properties(resources: &mut serde_json::Map<String, Value>, removed: &BTreeSet<String>) {
    for resource in resources.values_mut() {
        for (resource_type, path) in OPTIONAL_PROPERTIES {
            let Some((name, parents)) = path.split_last().filter(|_| resource["Type"] == resource_type) else {
                continue;
            };
            let parent = parents
                .iter()
                .try_fold(&mut resource["Properties"], |value, name| value.get_mut(name));
            if let Some(parent) = parent.and_then(Value::as_object_mut)
                && parent.get(*name).is_some_and(|value| refers_to(value, removed))
            {
                parent.remove(*name);
            }
        }
    }
}

/// Returns a section of a template, if it has one.
fn section<'a>(template: &'a mut Value, name: &str) -> Option<&'a mut serde_json::Map<String, Value>> {
    template.get_mut(name)?.as_object_mut()
}

/// Returns whether a value refers to one of these logical IDs: with `Ref`, `Fn::GetAtt` or `Fn::Sub`.
fn refers_to(value: &Value, ids: &BTreeSet<String>) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(key, inner)| match (key.as_str(), inner) {
            ("Ref", Value::String(id)) => ids.contains(id),
            ("Fn::GetAtt", Value::String(path)) => ids.contains(path.split('.').next().unwrap_or_default()),
            ("Fn::GetAtt", Value::Array(path)) => {
                path.first().and_then(Value::as_str).is_some_and(|id| ids.contains(id))
            }
            ("Fn::Sub", Value::String(text)) => substitutes(text, ids),
            ("Fn::Sub", Value::Array(parts)) => {
                parts
                    .first()
                    .and_then(Value::as_str)
                    .is_some_and(|text| substitutes(text, ids))
                    || parts.iter().skip(1).any(|inner| refers_to(inner, ids))
            }
            (_, inner) => refers_to(inner, ids),
        }),
        Value::Array(list) => list.iter().any(|inner| refers_to(inner, ids)),
        _ => false,
    }
}

fn substitutes(text: &str, ids: &BTreeSet<String>) -> bool {
    text.split("${").skip(1).any(|rest| {
        let path = rest.split('}').next().unwrap_or_default();
        ids.contains(path.split('.').next().unwrap_or_default())
    })
}
