//! One document of a resource: properties, tags and the values that the service chose.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::scalar::scalar;
use super::tags::{tag_list, tags_of};
use super::timestamp::now;
use crate::context::Context;
use crate::error::AwsError;
use crate::resource::Desired;

/// The stored state of one resource.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Record {
    /// The physical id.
    pub id: String,
    /// The properties in the form of a template, without `Tags`.
    pub properties: Map<String, Value>,
    /// The resource's own tags and those of its stack.
    pub tags: IndexMap<String, String>,
    /// The keys of tags that come from the stack and not from the resource; they are not drift.
    pub inherited: Vec<String>,
    /// Values that the service chose, such as addresses and default ids.
    pub computed: Map<String, Value>,
    /// Milliseconds since 1970.
    pub created: i64,
}

impl Record {
    /// Creates the record of a resource that a template declares.
    pub fn new(id: impl Into<String>, desired: &Desired) -> Self {
        let mut record = Self {
            id: id.into(),
            created: now(),
            ..Self::default()
        };
        record.set_desired(desired);
        record
    }

    /// Creates a record that no template declares.
    pub fn from_properties(id: impl Into<String>, properties: Value) -> Self {
        let properties = match properties {
            Value::Object(properties) => properties,
            _ => Map::new(),
        };
        Self {
            id: id.into(),
            properties,
            created: now(),
            ..Self::default()
        }
    }

    /// Replaces the properties and tags by the desired ones. The tags of the stack stay if an API call changes its resource.
    pub fn set_desired(&mut self, desired: &Desired) {
        self.properties = desired.properties.as_object().cloned().unwrap_or_default();
        let own = tags_of(&self.properties.shift_remove("Tags").unwrap_or_default());
        if desired.stack_id.is_empty() {
            self.inherited.retain(|key| !own.contains_key(key));
            let inherited = &self.inherited;
            self.tags.retain(|key, _| inherited.contains(key));
            self.tags.extend(own);
            return;
        }
        self.inherited = desired
            .tags
            .iter()
            .map(|(key, _)| key.clone())
            .filter(|key| !own.contains_key(key))
            .collect();
        self.tags = desired.tags.iter().cloned().collect();
        self.tags.extend(own);
    }

    /// Returns a scalar property as text.
    pub fn text(&self, property: &str) -> Option<String> {
        self.properties.get(property).and_then(scalar)
    }

    /// Returns a scalar computed value as text.
    pub fn computed(&self, name: &str) -> Option<String> {
        self.computed.get(name).and_then(scalar)
    }

    /// Returns true if a scalar property has this value as text.
    pub fn has(&self, property: &str, value: &str) -> bool {
        self.text(property).as_deref() == Some(value)
    }

    /// Returns the properties in the form of a template, with the resource's own tags.
    pub fn template_properties(&self) -> Value {
        let mut properties = self.properties.clone();
        let own: Vec<Value> = self
            .tags
            .iter()
            .filter(|(key, _)| !self.inherited.contains(key))
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect();
        if !own.is_empty() {
            properties.insert("Tags".into(), own.into());
        }
        Value::Object(properties)
    }

    /// Returns all tags as `[{"Key": …, "Value": …}]`.
    pub fn tag_list(&self) -> Value {
        tag_list(&self.tags)
    }
}

/// The collection of the records of one type, by its name in the store.
#[derive(Debug, Clone, Copy)]
pub struct Records(pub &'static str);

impl Records {
    /// Returns one record, or `None` if it does not exist.
    ///
    /// # Errors
    /// `InternalFailure` if the state cannot be read, as for all functions here.
    pub fn get(self, cx: &Context, id: &str) -> Result<Option<Record>, AwsError> {
        Ok(cx.store().get(self.0, id)?)
    }

    /// Returns every record, sorted by id.
    ///
    /// # Errors
    /// As for `get`.
    pub fn list(self, cx: &Context) -> Result<Vec<Record>, AwsError> {
        Ok(cx.store().list(self.0)?.into_iter().map(|(_, record)| record).collect())
    }

    /// Returns the first record that matches.
    ///
    /// # Errors
    /// As for `get`.
    pub fn find(self, cx: &Context, matches: impl Fn(&Record) -> bool) -> Result<Option<Record>, AwsError> {
        Ok(self.list(cx)?.into_iter().find(|record| matches(record)))
    }

    /// Stores one record.
    ///
    /// # Errors
    /// `InternalFailure` if the state cannot be written.
    pub fn put(self, cx: &Context, record: &Record) -> Result<(), AwsError> {
        Ok(cx.store().put(self.0, &record.id, record)?)
    }

    /// Deletes one record. Returns true if it existed.
    ///
    /// # Errors
    /// As for `put`.
    pub fn delete(self, cx: &Context, id: &str) -> Result<bool, AwsError> {
        Ok(cx.store().delete(self.0, id)?)
    }
}
