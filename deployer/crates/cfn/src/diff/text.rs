//! Values of a template as text.

use serde_json::{Map, Value};

/// Returns a canonical value as text: references in the form `${Name}` or `${Name.Attribute}`.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(object) if is_function(object) => {
            if let Some(name) = object.get("Ref").and_then(Value::as_str) {
                return format!("${{{name}}}");
            }
            if let Some(Value::Array(parts)) = object.get("Fn::GetAtt") {
                let parts: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
                return format!("${{{}}}", parts.join("."));
            }
            object
                .get("Fn::Sub")
                .and_then(Value::as_str)
                .map_or_else(|| value.to_string(), str::to_owned)
        }
        Value::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// Returns true for an object that is an intrinsic function.
pub(super) fn is_function(object: &Map<String, Value>) -> bool {
    object.len() == 1 && object.keys().all(|key| key == "Ref" || key.starts_with("Fn::"))
}
