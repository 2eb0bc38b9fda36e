//! Tags in the forms that AWS APIs use.

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::scalar::scalar;

/// Returns tags as `[{"Key": …, "Value": …}]`.
pub fn tag_list(tags: &IndexMap<String, String>) -> Value {
    tags.iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}

/// Reads tags from a list of `{Key, Value}` (upper or lower camel case) or from an object.
pub fn tags_of(value: &Value) -> IndexMap<String, String> {
    match value {
        Value::Array(list) => list
            .iter()
            .filter_map(|tag| {
                let member = |upper: &str, lower: &str| tag.get(upper).or(tag.get(lower)).and_then(scalar);
                Some((member("Key", "key")?, member("Value", "value").unwrap_or_default()))
            })
            .collect(),
        Value::Object(map) => map
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), scalar(value)?)))
            .collect(),
        _ => IndexMap::new(),
    }
}
