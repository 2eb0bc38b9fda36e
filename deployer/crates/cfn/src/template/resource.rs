//! Resources of a template, and the handles that references are made of.

use serde_json::{Map, Value, json};

/// A resource: its type, properties and attributes such as `DeletionPolicy`.
#[derive(Debug, Clone)]
#[must_use = "a resource is part of a template once `Template::add` has it"]
pub struct Resource {
    #[expect(clippy::struct_field_names, reason = "`type` is a keyword")]
    resource_type: &'static str,
    properties: Map<String, Value>,
    depends_on: Vec<String>,
    /// `DeletionPolicy` and `UpdateReplacePolicy`.
    policies: Option<(&'static str, &'static str)>,
    skipped_checks: Vec<(&'static str, &'static str)>,
    ignored_rules: Vec<&'static str>,
}

impl Resource {
    /// Returns a resource without properties.
    pub fn new(resource_type: &'static str) -> Self {
        Self {
            resource_type,
            properties: Map::new(),
            depends_on: Vec::new(),
            policies: None,
            skipped_checks: Vec::new(),
            ignored_rules: Vec::new(),
        }
    }

    /// Sets a property.
    pub fn with(mut self, property: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(property.to_owned(), value.into());
        self
    }

    /// Sets a property if there is a value for it.
    pub fn with_some(self, property: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(property, value),
            None => self,
        }
    }

    /// Adds to `DependsOn`, for an order that no reference expresses.
    pub fn depends_on(mut self, other: &Handle) -> Self {
        self.depends_on.push(other.logical_id.clone());
        self
    }

    /// Skips a check of checkov, with the reason, in the resource's `Metadata`.
    pub fn skip_check(mut self, check: &'static str, reason: &'static str) -> Self {
        self.skipped_checks.push((check, reason));
        self
    }

    /// Ignores a rule of cfn-lint in the resource's `Metadata`.
    pub fn ignore_rule(mut self, rule: &'static str) -> Self {
        self.ignored_rules.push(rule);
        self
    }

    /// Retains the resource when the stack is deleted or a change replaces it, even if its creation is rolled back.
    pub fn retained(mut self) -> Self {
        self.policies = Some(("Retain", "Retain"));
        self
    }

    /// Retains the resource once the operation that creates it has succeeded; a rollback of that operation deletes it (AWS
    /// CloudFormation: `DeletionPolicy` attribute, `RetainExceptOnCreate`).
    pub fn retained_once_created(mut self) -> Self {
        self.policies = Some(("RetainExceptOnCreate", "Retain"));
        self
    }

    /// Takes a final snapshot before the resource is deleted or replaced.
    pub fn snapshotted(mut self) -> Self {
        self.policies = Some(("Snapshot", "Snapshot"));
        self
    }

    /// Deletes the resource with the stack. Explicit, because databases default to a snapshot.
    pub fn deleted(mut self) -> Self {
        self.policies = Some(("Delete", "Delete"));
        self
    }

    /// Sets the tag `Name`, by which consoles list the resource.
    pub fn named(self, name: impl Into<Value>) -> Self {
        self.with("Tags", json!([{ "Key": "Name", "Value": name.into() }]))
    }

    pub(super) fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.insert("Type".into(), self.resource_type.into());
        match self.depends_on.as_slice() {
            [] => {}
            [one] => drop(body.insert("DependsOn".into(), one.clone().into())),
            many => drop(body.insert("DependsOn".into(), json!(many))),
        }
        if let Some((deletion, replacement)) = self.policies {
            body.insert("DeletionPolicy".into(), deletion.into());
            body.insert("UpdateReplacePolicy".into(), replacement.into());
        }
        let mut metadata = Map::new();
        if !self.skipped_checks.is_empty() {
            let skip: Vec<Value> = self
                .skipped_checks
                .iter()
                .map(|(id, comment)| json!({ "id": id, "comment": comment }))
                .collect();
            metadata.insert("checkov".into(), json!({ "skip": skip }));
        }
        if !self.ignored_rules.is_empty() {
            let config = json!({ "config": { "ignore_checks": self.ignored_rules } });
            metadata.insert("cfn-lint".into(), config);
        }
        if !metadata.is_empty() {
            body.insert("Metadata".into(), metadata.into());
        }
        if !self.properties.is_empty() {
            body.insert("Properties".into(), self.properties.clone().into());
        }
        Value::Object(body)
    }
}

/// A resource that is part of the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    logical_id: String,
}

impl Handle {
    pub(super) fn new(logical_id: String) -> Self {
        Self { logical_id }
    }

    /// Returns a `Ref`: the physical ID, or what the type's documentation names.
    pub fn reference(&self) -> Value {
        json!({ "Ref": self.logical_id })
    }

    /// Returns an `Fn::GetAtt`.
    pub fn attribute(&self, name: &str) -> Value {
        json!({ "Fn::GetAtt": [self.logical_id, name] })
    }
}
