//! Preview of an update: the changes of a change set.

use std::collections::HashMap;

use indexmap::IndexSet;
use serde_json::{Map, Value, json};

use crate::compare::{Difference, differences, replaces, same};
use crate::expression::EvaluationError;
use crate::graph::{graph, order};
use crate::parameter;
use crate::references::{Reference, references};
use crate::scope::{Scope, UNKNOWN, text};
use crate::stack::{Stack, StackDefinition, StackResource};
use crate::stack_scope::stack_scope;
use crate::template::{Template, TemplateResource};
use endpoint_core::{AwsError, Context, Schema};

/// The changes that an update would make.
pub struct Preview {
    /// `ResourceChange` objects with property values; see [`without_values`].
    pub changes: Vec<Value>,
    /// True if nothing would change, including outputs and tags.
    pub is_empty: bool,
    /// The reason why property values are incomplete.
    pub warning: Option<String>,
}

/// Compares a stack with a new definition, resource by resource, in the order of the changes.
///
/// # Errors
/// `ValidationError` for an expression without a value, a circular dependency, or a changed resource type.
pub async fn preview(
    cx: &Context,
    stack: &Stack,
    template: &Template,
    definition: &StackDefinition,
) -> Result<Preview, AwsError> {
    let mut resources = stack.resources.clone();
    resources.retain(|_, resource| resource.physical_id.is_some());
    let mut scope = stack_scope(cx, stack, template, &definition.parameter_values, &resources).await?;
    scope.preview = true;
    let graph = graph(template, &scope);
    let retyped: Vec<&str> = graph
        .keys()
        .filter(|id| {
            let declared = &template.resources[*id].resource_type;
            resources.get(*id).is_some_and(|r| r.resource_type != *declared)
        })
        .map(String::as_str)
        .collect();
    if !retyped.is_empty() {
        return Err(AwsError::validation(format!(
            "Update of resource type is not permitted. The new template modifies resource type of the following resources: [{}]",
            retyped.join(", ")
        )));
    }
    let mut secrets = parameter::secrets(template, &definition.parameters);
    if let Ok(old) = stack.definition.template() {
        secrets.extend(parameter::secrets(&old, &stack.definition.parameters));
    }
    let mut builder = PreviewBuilder {
        cx,
        stack,
        template,
        definition,
        scope,
        secrets,
        changed: HashMap::new(),
        warning: None,
    };
    let mut changes = Vec::new();
    for id in order(&graph).unwrap_or_default() {
        let declared = &template.resources[&id];
        let change = match resources.get(&id) {
            None => Some(builder.add(&id, declared)),
            Some(resource) => builder.modify(&id, declared, resource)?,
        };
        changes.extend(change);
    }
    for resource in resources.values().filter(|r| !graph.contains_key(&r.logical_id)) {
        changes.push(builder.removal(resource));
    }
    let is_empty = changes.is_empty() && definition.tags == stack.definition.tags && !builder.outputs_change()?;
    let warning = builder.warning;
    Ok(Preview {
        changes,
        is_empty,
        warning,
    })
}

/// Returns a `ResourceChange` without property values, for a request without `IncludePropertyValues`.
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
            let mut unique: Vec<Value> = Vec::new();
            for detail in std::mem::take(details) {
                if !unique.contains(&detail) {
                    unique.push(detail);
                }
            }
            *details = unique;
        }
    }
    change
}

struct PreviewBuilder<'a> {
    cx: &'a Context,
    stack: &'a Stack,
    template: &'a Template,
    definition: &'a StackDefinition,
    scope: Scope,
    /// Old and new values of `NoEcho` parameters.
    secrets: Vec<String>,
    /// Resources that change; true for a replacement.
    changed: HashMap<String, bool>,
    warning: Option<String>,
}

impl PreviewBuilder<'_> {
    fn add(&mut self, id: &str, declared: &TemplateResource) -> Value {
        self.changed.insert(id.to_owned(), true);
        let after = self.after(id, declared).unwrap_or_default();
        json!({
            "Action": "Add", "LogicalResourceId": id, "ResourceType": declared.resource_type, "Scope": [], "Details": [],
            "AfterContext": self.context(&after),
        })
    }

    /// Returns the new properties of a resource. The value of an export that does not exist is unknown.
    fn after(&mut self, id: &str, declared: &TemplateResource) -> Result<Map<String, Value>, EvaluationError> {
        let mut after = Map::new();
        for (name, expression) in &declared.properties {
            let value = match self.scope.value(expression) {
                Err(EvaluationError::NoExport(export)) => {
                    self.warning = Some(format!(
                        "[WARN] --include-property-values option can return incomplete ChangeSet data because: ChangeSet creation failed \
                         for resource [{id}] because: No export named {export}"
                    ));
                    UNKNOWN.into()
                }
                value => value?,
            };
            if !value.is_null() {
                after.insert(name.clone(), value);
            }
        }
        Ok(after)
    }

    fn modify(
        &mut self,
        id: &str,
        declared: &TemplateResource,
        resource: &StackResource,
    ) -> Result<Option<Value>, AwsError> {
        let schema = self
            .cx
            .resource_type(&declared.resource_type)
            .map(|t| t.schema())
            .unwrap_or_default();
        let after = self.after(id, declared)?;
        let policies = self.scope.policies(id, declared)?;
        let mut details = Vec::new();
        let mut replacement = "False";
        for difference in differences(&resource.properties, &after) {
            let name = top_level(&difference.path).to_owned();
            let is_dynamic = difference.after.as_ref().is_some_and(contains_unknown);
            let recreation = requires_recreation(&difference.path, &schema);
            replacement = match (recreation, is_dynamic, replacement) {
                ("Always", false, _) => "True",
                ("Always", true, "False") => "Conditional",
                (_, _, current) => current,
            };
            details.push(self.property_detail(declared, &name, &difference, recreation, is_dynamic));
        }
        for (name, expression) in &declared.properties {
            if details.iter().any(|d| d["Target"]["Name"] == name.as_str()) {
                continue;
            }
            // An attribute of a resource that is updated may change too, which only the update shows.
            for reference in references(expression, &|c| self.scope.conditions.get(c).copied()) {
                let Reference::Attribute(resource, attribute) = reference else {
                    continue;
                };
                if self.changed.get(&resource) == Some(&false) {
                    let recreation = requires_recreation(name, &schema);
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
        if resource.tags != self.definition.tags && schema.properties.contains(&"Tags") {
            details.push(json!({
                "Target": {"Attribute": "Tags", "RequiresRecreation": "Never"}, "Evaluation": "Static", "ChangeSource": "DirectModification",
            }));
        }
        for (attribute, is_changed) in [
            ("Metadata", resource.metadata != declared.metadata),
            ("DeletionPolicy", resource.deletion_policy != policies.deletion),
            (
                "UpdateReplacePolicy",
                resource.update_replace_policy != policies.update_replace,
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
        let changes_properties = details.iter().any(|d| d["Target"]["Attribute"] == "Properties");
        if changes_properties {
            self.changed.insert(id.to_owned(), replacement == "True");
        }
        if replacement == "True" {
            self.scope.resources.shift_remove(id);
        } else if let Some(values) = self.scope.resources.get_mut(id) {
            values.attributes.extend(after.clone());
        }
        let scopes = details.iter().map(|detail| detail["Target"]["Attribute"].clone());
        let scopes: IndexSet<Value> = scopes.collect();
        let mut change = json!({
            "Action": "Modify", "LogicalResourceId": id, "PhysicalResourceId": resource.physical_id, "ResourceType": declared.resource_type,
            "Replacement": replacement, "Scope": scopes, "Details": details,
            "BeforeContext": self.context(&resource.properties), "AfterContext": self.context(&after),
        });
        if replacement == "True" {
            change["PolicyAction"] = match policies.update_replace.as_deref() {
                Some("Retain") => "ReplaceAndRetain",
                Some("Snapshot") => "ReplaceAndSnapshot",
                _ => "ReplaceAndDelete",
            }
            .into();
        }
        Ok(Some(change))
    }

    fn removal(&self, resource: &StackResource) -> Value {
        let supports_snapshots = || {
            self.cx
                .resource_type(&resource.resource_type)
                .is_some_and(|one| one.supports_snapshots())
        };
        let policy = match resource.deletion_policy.as_deref() {
            Some("Retain" | "RetainExceptOnCreate") => "Retain",
            Some("Snapshot") => "Snapshot",
            None if supports_snapshots() => "Snapshot",
            _ => "Delete",
        };
        json!({
            "PolicyAction": policy, "Action": "Remove", "LogicalResourceId": resource.logical_id,
            "PhysicalResourceId": resource.physical_id, "ResourceType": resource.resource_type, "Scope": [], "Details": [],
            "BeforeContext": self.context(&resource.properties),
        })
    }

    fn property_detail(
        &self,
        declared: &TemplateResource,
        name: &str,
        difference: &Difference,
        recreation: &str,
        is_dynamic: bool,
    ) -> Value {
        let change_type = match (&difference.before, &difference.after) {
            (None, _) => "Add",
            (_, None) => "Remove",
            _ => "Modify",
        };
        let mut target = json!({
            "Attribute": "Properties", "Name": name, "RequiresRecreation": recreation,
            "Path": format!("/Properties{}", difference.path), "AttributeChangeType": change_type,
        });
        if let Some(before) = &difference.before {
            target["BeforeValue"] = self.masked(before).into();
        }
        if let Some(after) = &difference.after {
            target["AfterValue"] = self.masked(after).into();
        }
        let (source, entity) = self.source(declared.properties.get(name));
        let mut detail = json!({
            "Target": target, "Evaluation": if is_dynamic { "Dynamic" } else { "Static" }, "ChangeSource": source,
        });
        if let Some(entity) = entity {
            detail["CausingEntity"] = entity.into();
        }
        detail
    }

    /// Returns the source of a property's change: a parameter or a resource that it refers to, or a direct modification.
    fn source(&self, expression: Option<&Value>) -> (&'static str, Option<String>) {
        let Some(expression) = expression else {
            return ("DirectModification", None);
        };
        for reference in references(expression, &|c| self.scope.conditions.get(c).copied()) {
            match reference {
                Reference::Name(name)
                    if self.template.parameters.contains_key(&name)
                        && self.definition.parameter_values.get(&name)
                            != self.stack.definition.parameter_values.get(&name) =>
                {
                    return ("ParameterReference", Some(name));
                }
                Reference::Name(name) if self.changed.get(&name) == Some(&true) => {
                    return ("ResourceReference", Some(name));
                }
                Reference::Attribute(resource, attribute) if self.changed.contains_key(&resource) => {
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
            .filter(|(_, o)| self.scope.condition_holds(o.condition.as_deref()));
        let mut count = 0;
        for (key, output) in outputs {
            count += 1;
            let value = self.scope.value(&output.value)?;
            let export = output.export.as_ref().map(|e| self.scope.text(e)).transpose()?;
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

    /// Returns the JSON of properties, with secrets masked.
    fn context(&self, properties: &Map<String, Value>) -> String {
        self.mask(json!({"Properties": properties}).to_string())
    }

    fn masked(&self, value: &Value) -> String {
        let text = text(value).filter(|_| !value.is_array());
        self.mask(text.unwrap_or_else(|| value.to_string()))
    }

    fn mask(&self, mut text: String) -> String {
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), "****");
        }
        text
    }
}

fn requires_recreation(path: &str, schema: &Schema) -> &'static str {
    if replaces(path, schema.create_only) {
        "Always"
    } else {
        "Never"
    }
}

fn contains_unknown(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(UNKNOWN),
        Value::Array(list) => list.iter().any(contains_unknown),
        Value::Object(object) => object.values().any(contains_unknown),
        _ => false,
    }
}

/// Returns the name of the top-level property in a path.
fn top_level(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}
