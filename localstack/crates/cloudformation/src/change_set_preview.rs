//! What an update would do, before it is done.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::compare::{Difference, differences, replaces, same};
use super::graph::{graph, order};
use super::references::{Reference, references};
use super::scope::{Scope, UNKNOWN, text};
use super::stack::{Goal, Member, Stack};
use super::template::{Spec, Template};
use super::{engine, parameter, validate};
use endpoint_core::{AwsError, Context};

/// The outcome of looking ahead.
pub struct Preview {
    /// `ResourceChange` objects, with values; see [`without_values`].
    pub changes: Vec<Value>,
    /// Whether anything at all would change: outputs and tags count, too.
    pub is_empty: bool,
}

/// Compares a stack with a new goal, resource by resource, in the order in which they would be changed.
pub async fn preview(cx: &Context, stack: &Stack, template: &Template, goal: &Goal) -> Result<Preview, AwsError> {
    let members: indexmap::IndexMap<String, Member> = stack
        .members
        .iter()
        .filter(|(_, m)| m.physical_id.is_some())
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let mut scope = engine::scope(cx, &stack.name, &stack.id, template, &goal.values, &members).await?;
    scope.preview = true;
    validate::acyclic(template, &scope)?;
    let graph = graph(template, &scope);
    let retyped: Vec<&str> = graph
        .keys()
        .filter(|id| members.get(*id).is_some_and(|m| m.kind != template.resources[*id].kind))
        .map(String::as_str)
        .collect();
    if !retyped.is_empty() {
        return Err(AwsError::validation(format!(
            "Update of resource type is not permitted. The new template modifies resource type of the following resources: [{}]",
            retyped.join(", ")
        )));
    }
    let mut hidden = parameter::secrets(template, &goal.given);
    if let Ok(old) = Template::parse(&stack.goal.body) {
        hidden.extend(parameter::secrets(&old, &stack.goal.given));
    }
    let mut looker = Looker {
        cx,
        stack,
        template,
        goal,
        scope,
        hidden,
        touched: HashMap::new(),
    };
    let mut changes = Vec::new();
    for id in order(&graph).unwrap_or_default() {
        let spec = &template.resources[&id];
        let change = match members.get(&id) {
            None => Some(looker.add(&id, spec)),
            Some(member) => looker.modify(&id, spec, member)?,
        };
        changes.extend(change);
    }
    for member in members.values().filter(|m| !graph.contains_key(&m.logical_id)) {
        changes.push(removal(cx, member));
    }
    let is_empty = changes.is_empty() && goal.tags == stack.goal.tags && !looker.outputs_change()?;
    Ok(Preview { changes, is_empty })
}

/// A `ResourceChange` as it is shown when `IncludePropertyValues` was not asked for.
pub fn without_values(change: &Value) -> Value {
    let mut change = change.clone();
    if let Some(change) = change.as_object_mut() {
        change.shift_remove("BeforeContext");
        change.shift_remove("AfterContext");
        if let Some(Value::Array(details)) = change.get_mut("Details") {
            for target in details.iter_mut().filter_map(|d| d["Target"].as_object_mut()) {
                for member in ["Path", "BeforeValue", "AfterValue", "AttributeChangeType"] {
                    target.shift_remove(member);
                }
            }
            let mut seen: Vec<Value> = Vec::new();
            details.retain(|d| {
                !seen.contains(d) && {
                    seen.push(d.clone());
                    true
                }
            });
        }
    }
    change
}

struct Looker<'a> {
    cx: &'a Context,
    stack: &'a Stack,
    template: &'a Template,
    goal: &'a Goal,
    scope: Scope,
    /// Values of `NoEcho` parameters, old and new.
    hidden: Vec<String>,
    /// Resources that change, and whether they are replaced.
    touched: HashMap<String, bool>,
}

impl Looker<'_> {
    fn add(&mut self, id: &str, spec: &Spec) -> Value {
        self.touched.insert(id.to_owned(), true);
        let after = self.scope.object(&spec.properties).unwrap_or_default();
        json!({
            "Action": "Add", "LogicalResourceId": id, "ResourceType": spec.kind, "Scope": [], "Details": [],
            "AfterContext": self.context(&after),
        })
    }

    fn modify(&mut self, id: &str, spec: &Spec, member: &Member) -> Result<Option<Value>, AwsError> {
        let schema = self
            .cx
            .resource_type(&spec.kind)
            .map(|t| t.schema())
            .unwrap_or_default();
        let after = self.scope.object(&spec.properties).map_err(AwsError::validation)?;
        let mut details = Vec::new();
        let mut replacement = "False";
        for difference in differences(&member.properties, &after) {
            let name = top(&difference.path).to_owned();
            let is_dynamic = difference.after.as_ref().is_some_and(holds_unknown);
            let recreation = if replaces(&difference.path, schema.create_only) {
                "Always"
            } else {
                "Never"
            };
            replacement = match (recreation, is_dynamic, replacement) {
                ("Always", false, _) => "True",
                ("Always", true, "False") => "Conditional",
                (_, _, so_far) => so_far,
            };
            details.push(self.property(spec, &name, &difference, recreation, is_dynamic));
        }
        for (name, expression) in &spec.properties {
            if details.iter().any(|d| d["Target"]["Name"] == name.as_str()) {
                continue;
            }
            // An attribute of a resource that changes may change with it; only the update shows whether it does.
            for reference in references(expression, &|c| self.scope.conditions.get(c).copied()) {
                let Reference::Attribute(resource, attribute) = reference else {
                    continue;
                };
                if self.touched.get(&resource) == Some(&false) {
                    let recreation = if replaces(name, schema.create_only) {
                        "Always"
                    } else {
                        "Never"
                    };
                    if recreation == "Always" && replacement == "False" {
                        replacement = "Conditional";
                    }
                    details.push(json!({
                        "Target": {"Attribute": "Properties", "Name": name, "RequiresRecreation": recreation, "Path": format!("/Properties/{name}")},
                        "Evaluation": "Dynamic", "ChangeSource": "ResourceAttribute", "CausingEntity": format!("{resource}.{attribute}"),
                    }));
                    break;
                }
            }
        }
        if member.tags != self.goal.tags && schema.properties.contains(&"Tags") {
            details.push(json!({
                "Target": {"Attribute": "Tags", "RequiresRecreation": "Never"}, "Evaluation": "Static", "ChangeSource": "DirectModification",
            }));
        }
        for (attribute, is_changed) in [
            ("Metadata", member.metadata != spec.metadata),
            ("DeletionPolicy", member.deletion_policy != spec.deletion_policy),
            (
                "UpdateReplacePolicy",
                member.update_replace_policy != spec.update_replace_policy,
            ),
        ] {
            if is_changed {
                details.push(json!({
                    "Target": {"Attribute": attribute, "RequiresRecreation": "Never"}, "Evaluation": "Static", "ChangeSource": "DirectModification",
                }));
            }
        }
        if details.is_empty() {
            return Ok(None);
        }
        let is_of_properties = details.iter().any(|d| d["Target"]["Attribute"] == "Properties");
        if is_of_properties {
            self.touched.insert(id.to_owned(), replacement == "True");
        }
        if replacement == "True" {
            self.scope.resources.shift_remove(id);
        }
        let mut scopes: Vec<Value> = Vec::new();
        for detail in &details {
            if !scopes.contains(&detail["Target"]["Attribute"]) {
                scopes.push(detail["Target"]["Attribute"].clone());
            }
        }
        let mut change = json!({
            "Action": "Modify", "LogicalResourceId": id, "PhysicalResourceId": member.physical_id, "ResourceType": spec.kind,
            "Replacement": replacement, "Scope": scopes, "Details": details,
            "BeforeContext": self.context(&member.properties), "AfterContext": self.context(&after),
        });
        if replacement == "True" {
            let policy = spec.update_replace_policy.as_deref();
            change["PolicyAction"] = match policy {
                Some("Retain") => "ReplaceAndRetain",
                Some("Snapshot") => "ReplaceAndSnapshot",
                _ => "ReplaceAndDelete",
            }
            .into();
        }
        Ok(Some(change))
    }

    fn property(&self, spec: &Spec, name: &str, difference: &Difference, recreation: &str, is_dynamic: bool) -> Value {
        let kind = match (&difference.before, &difference.after) {
            (None, _) => "Add",
            (_, None) => "Remove",
            _ => "Modify",
        };
        let mut target = json!({
            "Attribute": "Properties", "Name": name, "RequiresRecreation": recreation,
            "Path": format!("/Properties{}", difference.path), "AttributeChangeType": kind,
        });
        if let Some(before) = &difference.before {
            target["BeforeValue"] = self.masked(before).into();
        }
        if let Some(after) = &difference.after {
            target["AfterValue"] = self.masked(after).into();
        }
        let (source, entity) = self.source(spec.properties.get(name));
        let mut detail = json!({
            "Target": target, "Evaluation": if is_dynamic { "Dynamic" } else { "Static" }, "ChangeSource": source,
        });
        if let Some(entity) = entity {
            detail["CausingEntity"] = entity.into();
        }
        detail
    }

    /// Why a property changes: a parameter or a resource that it refers to, or its own words.
    fn source(&self, expression: Option<&Value>) -> (&'static str, Option<String>) {
        let Some(expression) = expression else {
            return ("DirectModification", None);
        };
        for reference in references(expression, &|c| self.scope.conditions.get(c).copied()) {
            match reference {
                Reference::Name(name)
                    if self.template.parameters.contains_key(&name)
                        && self.goal.values.get(&name) != self.stack.goal.values.get(&name) =>
                {
                    return ("ParameterReference", Some(name));
                }
                Reference::Name(name) if self.touched.get(&name) == Some(&true) => {
                    return ("ResourceReference", Some(name));
                }
                Reference::Attribute(resource, attribute) if self.touched.contains_key(&resource) => {
                    return ("ResourceAttribute", Some(format!("{resource}.{attribute}")));
                }
                _ => {}
            }
        }
        ("DirectModification", None)
    }

    fn outputs_change(&self) -> Result<bool, AwsError> {
        let outputs = self
            .template
            .outputs
            .iter()
            .filter(|(_, o)| self.scope.holds(o.condition.as_deref()));
        let mut count = 0;
        for (key, output) in outputs {
            count += 1;
            let value = self.scope.value(&output.value).map_err(AwsError::validation)?;
            let export = output
                .export
                .as_ref()
                .map(|e| self.scope.text(e))
                .transpose()
                .map_err(AwsError::validation)?;
            let is_same = self.stack.outputs.iter().any(|o| {
                o.key == *key
                    && same(&Value::from(o.value.clone()), &text(&value).unwrap_or_default().into())
                    && o.description == output.description
                    && o.export == export
            });
            if !is_same {
                return Ok(true);
            }
        }
        Ok(count != self.stack.outputs.len())
    }

    fn context(&self, properties: &Map<String, Value>) -> String {
        self.hide(json!({"Properties": properties}).to_string())
    }

    fn masked(&self, value: &Value) -> String {
        self.hide(
            text(value)
                .filter(|_| !value.is_array())
                .unwrap_or_else(|| value.to_string()),
        )
    }

    fn hide(&self, mut shown: String) -> String {
        for secret in &self.hidden {
            shown = shown.replace(secret.as_str(), "****");
        }
        shown
    }
}

fn removal(cx: &Context, member: &Member) -> Value {
    let supports_snapshots = || {
        cx.resource_type(&member.kind)
            .is_some_and(|kind| kind.supports_snapshots())
    };
    let policy = match member.deletion_policy.as_deref() {
        Some("Retain" | "RetainExceptOnCreate") => "Retain",
        Some("Snapshot") => "Snapshot",
        None if supports_snapshots() => "Snapshot",
        _ => "Delete",
    };
    json!({
        "PolicyAction": policy, "Action": "Remove", "LogicalResourceId": member.logical_id,
        "PhysicalResourceId": member.physical_id, "ResourceType": member.kind, "Scope": [], "Details": [],
    })
}

fn holds_unknown(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(UNKNOWN),
        Value::Array(list) => list.iter().any(holds_unknown),
        Value::Object(object) => object.values().any(holds_unknown),
        _ => false,
    }
}

fn top(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}
