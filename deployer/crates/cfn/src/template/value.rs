//! Intrinsic functions and pseudo parameters.

use serde_json::{Map, Value, json};

/// Returns an `Fn::Sub`; `values` are the names that the text uses beyond the template's own.
pub fn sub<const N: usize>(text: &str, values: [(&str, Value); N]) -> Value {
    if values.is_empty() {
        return json!({ "Fn::Sub": text });
    }
    let values: Map<String, Value> = values
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    json!({ "Fn::Sub": [text, values] })
}

/// Returns an `Fn::Join`.
pub fn join(delimiter: &str, parts: impl IntoIterator<Item = Value>) -> Value {
    json!({ "Fn::Join": [delimiter, parts.into_iter().collect::<Vec<_>>()] })
}

/// Returns a pseudo parameter: `AWS::Region` for `Region`.
pub fn pseudo(name: &str) -> Value {
    json!({ "Ref": format!("AWS::{name}") })
}

/// Returns an `Fn::Base64`.
pub fn base64(text: &str) -> Value {
    json!({ "Fn::Base64": text })
}
