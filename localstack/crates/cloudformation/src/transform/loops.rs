//! `Fn::ForEach` (Template Reference, "`Fn::ForEach`").

use serde_json::{Map, Value};

use super::{LANGUAGE_EXTENSIONS, Transformation, failed};
use crate::scope::text;
use endpoint_core::AwsError;

const LOOP: &str = "Fn::ForEach";

impl Transformation {
    /// Replaces each loop of an object by a copy of its members for each item of its collection.
    pub(super) fn expand_loops(&self, object: Map<String, Value>) -> Result<Map<String, Value>, AwsError> {
        let mut expanded = Map::new();
        for (key, value) in object {
            let members = if key.starts_with(LOOP) {
                self.copies(&key, &value)?
            } else {
                vec![(key, self.expand_within(value)?)]
            };
            for (key, value) in members {
                if expanded.contains_key(&key) {
                    let reason = format!("{LOOP} makes the key {key} more than once");
                    return Err(failed(LANGUAGE_EXTENSIONS, &reason));
                }
                expanded.insert(key, value);
            }
        }
        Ok(expanded)
    }

    fn expand_within(&self, value: Value) -> Result<Value, AwsError> {
        match value {
            Value::Object(object) => self.expand_loops(object).map(Value::Object),
            Value::Array(list) => list.into_iter().map(|item| self.expand_within(item)).collect(),
            scalar => Ok(scalar),
        }
    }

    /// Returns the members that a loop makes: `Fn::ForEach::Name: [identifier, collection, members]`.
    fn copies(&self, key: &str, declared: &Value) -> Result<Vec<(String, Value)>, AwsError> {
        let layout = || failed(LANGUAGE_EXTENSIONS, &format!("{LOOP} layout is incorrect: {key}"));
        let is_named = key
            .strip_prefix("Fn::ForEach::")
            .is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()));
        let parts = declared.as_array().map(Vec::as_slice).unwrap_or_default();
        let [Value::String(identifier), collection, members @ Value::Object(_)] = parts else {
            return Err(layout());
        };
        let Value::Array(items) = self.known(collection.clone())? else {
            return Err(layout());
        };
        let mut copies = Vec::new();
        for item in &items {
            let item = text(item).filter(|_| is_named && !item.is_array()).ok_or_else(layout)?;
            let Value::Object(copy) = replaced(members, identifier, &item) else {
                return Err(layout());
            };
            copies.extend(self.expand_loops(copy)?);
        }
        Ok(copies)
    }
}

/// Replaces an identifier: `${Identifier}` in keys and texts and `Ref` by the item, `&{Identifier}` by its letters and digits.
fn replaced(value: &Value, identifier: &str, item: &str) -> Value {
    let replace = |text: &str| {
        let plain: String = item.chars().filter(char::is_ascii_alphanumeric).collect();
        text.replace(&format!("${{{identifier}}}"), item)
            .replace(&format!("&{{{identifier}}}"), &plain)
    };
    match value {
        Value::String(text) => replace(text).into(),
        Value::Array(list) => list.iter().map(|member| replaced(member, identifier, item)).collect(),
        Value::Object(object) if object.len() == 1 && object.get("Ref").is_some_and(|name| name == identifier) => {
            item.into()
        }
        Value::Object(object) => object
            .iter()
            .map(|(key, member)| (replace(key), replaced(member, identifier, item)))
            .collect::<Map<_, _>>()
            .into(),
        scalar => scalar.clone(),
    }
}
