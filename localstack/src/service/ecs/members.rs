//! Members of the API's JSON objects: reading, writing, and conversion of a template's `UpperCamel` properties.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

/// Members whose keys the caller chooses.
const USER_KEYED_MAPS: [&str; 4] = ["options", "dockerLabels", "driverOpts", "labels"];

/// Converts a template's `UpperCamel` property names to the API's `lowerCamel` member names. Keys that the caller chooses
/// stay as they are.
pub fn lower_camel(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(lower_camel).collect(),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| {
                    let key = lower_first(key);
                    let value = if USER_KEYED_MAPS.contains(&key.as_str()) {
                        value.clone()
                    } else {
                        lower_camel(value)
                    };
                    (key, value)
                })
                .collect::<Map<_, _>>(),
        ),
        other => other.clone(),
    }
}

/// Converts the API's `lowerCamel` member names to the `UpperCamel` names of a template. Keys that the caller chooses stay as
/// they are.
pub fn upper_camel(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(upper_camel).collect(),
        Value::Object(map) => {
            let upper = |key: &String, value: &Value| {
                let value = if USER_KEYED_MAPS.contains(&key.as_str()) {
                    value.clone()
                } else {
                    upper_camel(value)
                };
                let mut rest = key.chars();
                let first = rest.next().map(|first| first.to_ascii_uppercase());
                (first.into_iter().chain(rest).collect(), value)
            };
            Value::Object(map.iter().map(|(key, value)| upper(key, value)).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn lower_first(name: &str) -> String {
    let mut rest = name.chars();
    rest.next()
        .map(|first| first.to_ascii_lowercase().to_string() + rest.as_str())
        .unwrap_or_default()
}

/// Returns an integer, written as a number or as text.
#[expect(
    clippy::cast_possible_truncation,
    reason = "`as` saturates, and no number of a definition comes near the limits"
)]
pub fn integer(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|n| n as i64)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Returns a boolean, written as a boolean or as text.
pub fn boolean(value: Option<&Value>) -> Option<bool> {
    match value? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

pub fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member)?.as_str()
}

/// Returns a list member's elements; none if the member is absent.
pub fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Returns tags as `[{"key": …, "value": …}]`.
pub fn tag_list(tags: &IndexMap<String, String>) -> Value {
    tags.iter().map(|(k, v)| json!({"key": k, "value": v})).collect()
}

/// Adds the token of the next page to a response, if there is a next page.
pub fn with_next_token(mut response: Value, token: Option<String>) -> Value {
    if let Some(token) = token {
        response["nextToken"] = token.into();
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_the_caller_chooses_keep_their_case() {
        let properties = json!({
            "LogConfiguration": {"LogDriver": "awslogs", "Options": {"Awslogs-Group": "G"}}, "DockerLabels": {"A": "b"},
        });
        let members = json!({
            "logConfiguration": {"logDriver": "awslogs", "options": {"Awslogs-Group": "G"}}, "dockerLabels": {"A": "b"},
        });
        assert_eq!(lower_camel(&properties), members);
    }
}
