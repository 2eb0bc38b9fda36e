//! A plan as an endpoint can take it: without the resources whose types it does not know.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::credentials;
use super::instead::{Instead, instead};
use super::matrix::Capability;
use super::unknown::unknown;
use crate::error::{Error, Result};
use crate::stacks::{Plan, Source, Stack};
use crate::target::Aws;
use ui::Ui;

/// A type that an endpoint lacks and a platform needs: what it is, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub kind: String,
    pub remedy: Option<&'static str>,
}

/// What was left out of a plan: each type with its number of resources and the reason why nothing is missed.
pub type LeftOut = BTreeMap<String, (usize, &'static str)>;

/// Asks an imitation of AWS what it does not know, leaves that out of the plan where a platform can do without, and says
/// so. An error names what it cannot do without, before anything is made.
pub async fn fit(aws: &Aws, ui: &Ui, mut plan: Plan) -> Result<Plan> {
    if !aws.endpoint.is_foreign() {
        return Ok(plan);
    }
    if aws.endpoint.lacks(Capability::Outputs) {
        return Err(Error::Unsupported {
            operation: "up".into(),
            message: format!("stacks on {} have no outputs, which further stacks need", aws.endpoint),
        });
    }
    if aws.endpoint.lacks(Capability::ManagedCredentials) && credentials::generate(&mut plan) {
        ui.warn(format!(
            "{} keeps no passwords of databases: they are generated secrets of their stack",
            aws.endpoint
        ));
    }
    let unknown = unknown(aws, &plan).await?;
    if unknown.is_empty() {
        return Ok(plan);
    }
    let (plan, left_out) = without(plan, &unknown).map_err(|missing| Error::LacksTypes {
        endpoint: aws.endpoint.to_string(),
        missing,
    })?;
    for line in account(&left_out, &unknown, &aws.endpoint.to_string()) {
        ui.warn(line);
    }
    Ok(plan)
}

/// A line for each reason: which types were left out, how many of each, and why nothing is missed.
fn account(left_out: &LeftOut, unknown: &BTreeSet<String>, endpoint: &str) -> Vec<String> {
    let mut reasons: BTreeMap<(bool, &str), Vec<String>> = BTreeMap::new();
    for (kind, (count, why)) in left_out {
        let reason = (!unknown.contains(kind), *why);
        reasons.entry(reason).or_default().push(format!("{kind} ({count})"));
    }
    let line = |((follows, why), kinds): ((bool, &str), Vec<String>)| {
        let because = match follows {
            true => "refers to what is left out".to_owned(),
            false => format!("not known to {endpoint}"),
        };
        format!("left out: {}; {because}; {why}", kinds.join(", "))
    };
    reasons.into_iter().map(line).collect()
}

/// The plan without these types; the error is what it needs of them.
pub fn without(mut plan: Plan, unknown: &BTreeSet<String>) -> Result<(Plan, LeftOut), Vec<Missing>> {
    let needed: Vec<Missing> = unknown.iter().filter_map(|kind| missing(kind)).collect();
    if !needed.is_empty() {
        return Err(needed);
    }
    let mut left_out = LeftOut::new();
    let mut lost = BTreeSet::new();
    for stack in &mut plan.stacks {
        strip(stack, unknown, &mut lost, &mut left_out)?;
    }
    let is_empty = |stack: &Stack| {
        stack.template["Resources"]
            .as_object()
            .is_none_or(serde_json::Map::is_empty)
    };
    let empty: BTreeSet<String> = plan
        .stacks
        .iter()
        .filter(|s| is_empty(s))
        .map(|s| s.name.clone())
        .collect();
    plan.stacks.retain(|stack| !empty.contains(&stack.name));
    for stack in &mut plan.stacks {
        stack.depends_on.retain(|name| !empty.contains(name));
    }
    Ok((plan, left_out))
}

fn missing(kind: &str) -> Option<Missing> {
    let remedy = match instead(kind) {
        Instead::LeftOut(_) => return None,
        Instead::Setting(remedy) => Some(remedy),
        Instead::Nothing => None,
    };
    Some(Missing {
        kind: kind.to_owned(),
        remedy,
    })
}

/// Takes the resources of unknown types out of a stack, with everything that only means something together with them.
/// `lost` holds the outputs that earlier stacks have no more, by stack and name.
fn strip(
    stack: &mut Stack,
    unknown: &BTreeSet<String>,
    lost: &mut BTreeSet<(String, String)>,
    left_out: &mut LeftOut,
) -> Result<(), Vec<Missing>> {
    let is_lost = |source: &Source| match source {
        Source::Output { stack, output } => lost.contains(&(stack.clone(), output.clone())),
        _ => false,
    };
    let mut gone: BTreeSet<String> = stack
        .parameters
        .iter()
        .filter(|parameter| is_lost(&parameter.source))
        .map(|parameter| parameter.name.clone())
        .collect();
    stack.parameters.retain(|parameter| !gone.contains(&parameter.name));
    if let Some(parameters) = section(&mut stack.template, "Parameters") {
        parameters.retain(|name, _| !gone.contains(name));
    }
    let Some(resources) = section(&mut stack.template, "Resources") else {
        return Ok(());
    };
    loop {
        let kind_of = |resource: &Value| resource["Type"].as_str().unwrap_or_default().to_owned();
        let hit = |resource: &Value| unknown.contains(&kind_of(resource)) || names(&resource["Properties"], &gone);
        let Some(id) = resources
            .iter()
            .find(|(_, resource)| hit(resource))
            .map(|(id, _)| id.clone())
        else {
            break;
        };
        let kind = kind_of(&resources[&id]);
        let Instead::LeftOut(why) = instead(&kind) else {
            return Err(vec![Missing {
                kind: format!("what {id} ({kind}) refers to"),
                remedy: None,
            }]);
        };
        left_out.entry(kind).or_insert((0, why)).0 += 1;
        resources.remove(&id);
        gone.insert(id);
    }
    for resource in resources.values_mut() {
        if let Some(earlier) = resource.get_mut("DependsOn").and_then(Value::as_array_mut) {
            earlier.retain(|id| id.as_str().is_none_or(|id| !gone.contains(id)));
        } else if resource
            .get("DependsOn")
            .and_then(Value::as_str)
            .is_some_and(|id| gone.contains(id))
            && let Some(resource) = resource.as_object_mut()
        {
            resource.remove("DependsOn");
        }
    }
    if let Some(outputs) = section(&mut stack.template, "Outputs") {
        outputs.retain(|name, output| {
            let stays = !names(output, &gone);
            if !stays {
                lost.insert((stack.name.clone(), name.clone()));
            }
            stays
        });
    }
    Ok(())
}

/// A part of a template, where it has one.
fn section<'a>(template: &'a mut Value, name: &str) -> Option<&'a mut serde_json::Map<String, Value>> {
    template.get_mut(name)?.as_object_mut()
}

/// Whether a value refers to one of these logical ids: `Ref`, `Fn::GetAtt`, or inside `Fn::Sub`.
fn names(value: &Value, ids: &BTreeSet<String>) -> bool {
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
                    || parts.iter().skip(1).any(|inner| names(inner, ids))
            }
            (_, inner) => names(inner, ids),
        }),
        Value::Array(list) => list.iter().any(|inner| names(inner, ids)),
        _ => false,
    }
}

fn substitutes(text: &str, ids: &BTreeSet<String>) -> bool {
    text.split("${").skip(1).any(|rest| {
        let path = rest.split('}').next().unwrap_or_default();
        ids.contains(path.split('.').next().unwrap_or_default())
    })
}
