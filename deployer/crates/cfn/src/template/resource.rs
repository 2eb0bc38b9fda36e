//! One resource of a template, and the handle that references are made of.

use serde_json::{Map, Value, json};

/// A resource: its type, properties and attributes such as `DeletionPolicy`.
#[derive(Debug, Clone)]
pub struct Resource {
    kind: &'static str,
    properties: Map<String, Value>,
    depends_on: Vec<String>,
    deletion_policy: Option<&'static str>,
    waived: Vec<(&'static str, &'static str)>,
}

impl Resource {
    pub fn new(kind: &'static str) -> Self {
        Self {
            kind,
            properties: Map::new(),
            depends_on: Vec::new(),
            deletion_policy: None,
            waived: Vec::new(),
        }
    }

    /// Sets a property.
    pub fn with(mut self, property: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(property.to_owned(), value.into());
        self
    }

    /// Sets a property when there is a value for it.
    pub fn with_some(self, property: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(property, value),
            None => self,
        }
    }

    /// `DependsOn`, for an order that no reference gives.
    pub fn after(mut self, other: &Handle) -> Self {
        self.depends_on.push(other.logical_id.clone());
        self
    }

    /// Says in the template's `Metadata` why a finding of checkov does not hold here; nothing else is waived.
    pub fn waiving(mut self, check: &'static str, reason: &'static str) -> Self {
        self.waived.push((check, reason));
        self
    }

    /// Kept when the stack goes, or when a change replaces it.
    pub fn retained(mut self) -> Self {
        self.deletion_policy = Some("Retain");
        self
    }

    /// A last snapshot is taken when it goes.
    pub fn snapshotted(mut self) -> Self {
        self.deletion_policy = Some("Snapshot");
        self
    }

    /// Goes with the stack, said aloud: databases would take a snapshot otherwise.
    pub fn deleted(mut self) -> Self {
        self.deletion_policy = Some("Delete");
        self
    }

    /// `Name` in the resource's tags, by which consoles list it.
    pub fn named(self, name: impl Into<Value>) -> Self {
        self.with("Tags", json!([{ "Key": "Name", "Value": name.into() }]))
    }

    pub(super) fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.insert("Type".into(), self.kind.into());
        match self.depends_on.as_slice() {
            [] => {}
            [one] => drop(body.insert("DependsOn".into(), one.clone().into())),
            many => drop(body.insert("DependsOn".into(), json!(many))),
        }
        if let Some(policy) = self.deletion_policy {
            body.insert("DeletionPolicy".into(), policy.into());
            body.insert("UpdateReplacePolicy".into(), policy.into());
        }
        if !self.waived.is_empty() {
            let skip: Vec<Value> = self
                .waived
                .iter()
                .map(|(id, comment)| json!({ "id": id, "comment": comment }))
                .collect();
            body.insert("Metadata".into(), json!({ "checkov": { "skip": skip } }));
        }
        if !self.properties.is_empty() {
            body.insert("Properties".into(), self.properties.clone().into());
        }
        Value::Object(body)
    }
}

/// A resource that stands in the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    logical_id: String,
}

impl Handle {
    pub(super) fn new(logical_id: String) -> Self {
        Self { logical_id }
    }

    /// `Ref`: the physical id, or what the type's documentation says.
    pub fn reference(&self) -> Value {
        json!({ "Ref": self.logical_id })
    }

    /// `Fn::GetAtt`.
    pub fn attribute(&self, name: &str) -> Value {
        json!({ "Fn::GetAtt": [self.logical_id, name] })
    }
}
