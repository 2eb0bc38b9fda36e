//! Resource types that are records: properties, tags and what the service chose, one document each.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::{AwsError, Context, Desired, Failure, Resource, ResourceType, Schema};

/// One thing that a service keeps.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Record {
    /// The physical id.
    pub id: String,
    /// The properties as a template gives them, without `Tags`.
    pub properties: Map<String, Value>,
    pub tags: IndexMap<String, String>,
    /// The keys of tags that came from the stack and not from the resource: no drift.
    #[serde(default)]
    pub inherited: Vec<String>,
    /// What the service chose itself: addresses, default ids.
    #[serde(default)]
    pub facts: Map<String, Value>,
    /// Milliseconds since 1970.
    pub created: i64,
}

impl Record {
    pub fn new(id: impl Into<String>, desired: &Desired) -> Self {
        let mut record = Self {
            id: id.into(),
            created: now(),
            ..Self::default()
        };
        record.take(desired);
        record
    }

    /// A record that no template asked for.
    pub fn bare(id: impl Into<String>, properties: Value) -> Self {
        let properties = properties.as_object().cloned().unwrap_or_default();
        Self {
            id: id.into(),
            properties,
            created: now(),
            ..Self::default()
        }
    }

    /// Puts the desired properties and tags in the place of those here.
    pub fn take(&mut self, desired: &Desired) {
        self.properties = desired.properties.as_object().cloned().unwrap_or_default();
        let own = tags_of(&self.properties.shift_remove("Tags").unwrap_or_default());
        self.inherited = desired
            .tags
            .iter()
            .map(|(k, _)| k.clone())
            .filter(|k| !own.contains_key(k))
            .collect();
        self.tags = desired.tags.iter().cloned().collect();
        self.tags.extend(own);
    }

    /// A scalar property as text.
    pub fn text(&self, property: &str) -> Option<String> {
        self.properties.get(property).and_then(scalar)
    }

    pub fn fact(&self, name: &str) -> Option<String> {
        self.facts.get(name).and_then(scalar)
    }

    pub fn has(&self, property: &str, value: &str) -> bool {
        self.text(property).as_deref() == Some(value)
    }

    /// The properties as the template has them, with the resource's own tags.
    pub fn live(&self) -> Value {
        let mut live = self.properties.clone();
        let own: Vec<Value> = self
            .tags
            .iter()
            .filter(|(key, _)| !self.inherited.contains(key))
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect();
        if !own.is_empty() {
            live.insert("Tags".into(), own.into());
        }
        Value::Object(live)
    }

    /// `[{"Key": …, "Value": …}]`, all tags.
    pub fn tag_list(&self) -> Value {
        tag_list(&self.tags)
    }
}

pub fn tag_list(tags: &IndexMap<String, String>) -> Value {
    tags.iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}

/// Reads tags from a list of `{Key, Value}` (any case of the member names) or from an object.
pub fn tags_of(value: &Value) -> IndexMap<String, String> {
    match value {
        Value::Array(list) => list
            .iter()
            .filter_map(|tag| {
                let of = |upper: &str, lower: &str| tag.get(upper).or(tag.get(lower)).and_then(scalar);
                Some((of("Key", "key")?, of("Value", "value").unwrap_or_default()))
            })
            .collect(),
        Value::Object(map) => map
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), scalar(value)?)))
            .collect(),
        _ => IndexMap::new(),
    }
}

/// The records of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Records(pub &'static str);

impl Records {
    pub fn get(self, cx: &Context, id: &str) -> Result<Option<Record>, AwsError> {
        Ok(cx.store().get(self.0, id)?)
    }

    pub fn list(self, cx: &Context) -> Result<Vec<Record>, AwsError> {
        Ok(cx.store().list(self.0)?.into_iter().map(|(_, record)| record).collect())
    }

    /// The first record for which `wanted` holds.
    pub fn find(self, cx: &Context, wanted: impl Fn(&Record) -> bool) -> Result<Option<Record>, AwsError> {
        Ok(self.list(cx)?.into_iter().find(|record| wanted(record)))
    }

    pub fn put(self, cx: &Context, record: &Record) -> Result<(), AwsError> {
        Ok(cx.store().put(self.0, &record.id, record)?)
    }

    pub fn delete(self, cx: &Context, id: &str) -> Result<bool, AwsError> {
        Ok(cx.store().delete(self.0, id)?)
    }
}

/// A kind of record that a template can make; its rules, without storing and reading.
pub trait Kept: Send + Sync + 'static {
    const TYPE: &'static str;
    const RECORDS: Records;

    fn schema() -> Schema;

    /// Checks what is desired and makes the record (and what comes with it). Runs under the records' lock.
    fn make(cx: &Context, desired: &Desired) -> Result<Record, AwsError>;

    /// What `Ref` and `Fn::GetAtt` give.
    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
    }

    /// The live properties in the template's form.
    fn live(record: &Record) -> Value {
        record.live()
    }

    /// Checks a record that has taken new properties, and changes what comes with it.
    fn changed(_cx: &Context, _record: &mut Record) -> Result<(), AwsError> {
        Ok(())
    }

    /// Refuses the deletion of what is in use, and removes what came with the record.
    fn remove(_cx: &Context, _record: &Record) -> Result<(), AwsError> {
        Ok(())
    }
}

/// Makes the resource type of a kind.
pub fn kept<K: Kept>() -> Arc<dyn ResourceType> {
    Arc::new(Type::<K>(PhantomData))
}

struct Type<K>(PhantomData<K>);

#[async_trait]
impl<K: Kept> ResourceType for Type<K> {
    fn name(&self) -> &'static str {
        K::TYPE
    }

    fn schema(&self) -> Schema {
        K::schema()
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let part = cx.part::<Gate>();
        let _held = part.hold();
        let record = K::make(cx, desired)?;
        K::RECORDS.put(cx, &record)?;
        Ok(K::resource(cx, &record))
    }

    async fn update(&self, cx: &Context, id: &str, _previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        let part = cx.part::<Gate>();
        let _held = part.hold();
        let Some(mut record) = K::RECORDS.get(cx, id)? else {
            return Err(Failure::new(format!(
                "{} {id} does not exist: it was deleted outside of the stack",
                K::TYPE
            )));
        };
        record.take(desired);
        K::changed(cx, &mut record)?;
        K::RECORDS.put(cx, &record)?;
        Ok(K::resource(cx, &record))
    }

    async fn delete(&self, cx: &Context, id: &str, _properties: &Value) -> Result<(), Failure> {
        let part = cx.part::<Gate>();
        let _held = part.hold();
        if let Some(record) = K::RECORDS.get(cx, id)? {
            K::remove(cx, &record)?;
            K::RECORDS.delete(cx, id)?;
        }
        Ok(())
    }

    async fn read(&self, cx: &Context, id: &str) -> Result<Option<Value>, Failure> {
        Ok(K::RECORDS.get(cx, id)?.map(|record| K::live(&record)))
    }
}

/// Makes "look, then write" one step; held only for as long as a few documents take.
#[derive(Default)]
pub struct Gate(Mutex<()>);

impl Gate {
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The text of a string, number or boolean.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A list's strings; absent is empty.
pub fn texts(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(scalar).collect())
        .unwrap_or_default()
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000) as i64
}

/// Milliseconds as the XML protocols write a time.
pub fn iso(milliseconds: i64) -> String {
    let whole = OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000);
    whole.ok().and_then(|t| t.format(&Rfc3339).ok()).unwrap_or_default()
}

/// Milliseconds as the JSON protocols write a time: seconds, with a fraction.
pub fn seconds(milliseconds: i64) -> Value {
    json!(milliseconds as f64 / 1000.0)
}

/// One page of a list, and the token of the next. A token is the place where its page begins.
pub fn page<T>(items: Vec<T>, limit: usize, token: Option<&str>) -> Result<(Vec<T>, Option<String>), AwsError> {
    let from: usize = match token {
        None => 0,
        Some(token) => token
            .strip_prefix("at-")
            .and_then(|n| n.parse().ok())
            .ok_or_else(|| AwsError::new("InvalidNextToken", "The next token is not one that this endpoint gave."))?,
    };
    let next = (from + limit < items.len()).then(|| format!("at-{}", from + limit));
    Ok((items.into_iter().skip(from).take(limit).collect(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_the_next_begins() {
        let (first, token) = page(vec![1, 2, 3], 2, None).unwrap();
        assert_eq!((first, token.as_deref()), (vec![1, 2], Some("at-2")));
        assert_eq!(page(vec![1, 2, 3], 2, token.as_deref()).unwrap(), (vec![3], None));
        assert!(page(vec![1], 2, Some("else")).is_err());
    }
}
