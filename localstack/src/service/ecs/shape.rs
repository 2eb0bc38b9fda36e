//! Between a template's `UpperCamel` properties and the API's `lowerCamel` members.

use serde_json::{Map, Value};

/// Members whose keys are the caller's own words.
const MAPS: [&str; 4] = ["options", "dockerLabels", "driverOpts", "labels"];

/// Lowers the first letter of every member name, except within maps of the caller's own.
pub fn members(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(members).collect(),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| {
                    let key = lower(key);
                    let value = if MAPS.contains(&key.as_str()) {
                        value.clone()
                    } else {
                        members(value)
                    };
                    (key, value)
                })
                .collect::<Map<_, _>>(),
        ),
        other => other.clone(),
    }
}

fn lower(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_ascii_lowercase().to_string() + letters.as_str())
        .unwrap_or_default()
}

/// A whole number, whether it came as a number or as text.
pub fn whole(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|n| n as i64)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A flag, whether it came as a boolean or as text.
pub fn flag(value: Option<&Value>) -> Option<bool> {
    match value? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

pub fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member)?.as_str()
}

/// A list member's elements; absent is empty.
pub fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_callers_own_keys_keep_their_letters() {
        let given = json!({"LogConfiguration": {"LogDriver": "awslogs", "Options": {"Awslogs-Group": "G"}}, "DockerLabels": {"A": "b"}});
        let wanted = json!({"logConfiguration": {"logDriver": "awslogs", "options": {"Awslogs-Group": "G"}}, "dockerLabels": {"A": "b"}});
        assert_eq!(super::members(&given), wanted);
    }
}
