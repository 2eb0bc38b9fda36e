//! YAML templates, short-form intrinsics included, as the JSON that they stand for.

use serde_json::{Map, Number, Value, json};
use serde_yaml_ng::Value as Yaml;

/// Reads YAML or JSON text.
///
/// # Errors
/// Words for a `Template format error`.
pub fn parse(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|e| format!("JSON not well-formed. ({e})"));
    }
    let yaml: Yaml = serde_yaml_ng::from_str(text).map_err(|e| format!("YAML not well-formed. ({e})"))?;
    convert(yaml)
}

fn convert(yaml: Yaml) -> Result<Value, String> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(n), _) => n.into(),
            (None, Some(n)) => n.into(),
            _ => Number::from_f64(number.as_f64().unwrap_or(0.0)).map_or(Value::Null, Value::Number),
        },
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(convert).collect::<Result<_, _>>()?),
        Yaml::Mapping(mapping) => {
            let mut object = Map::new();
            for (key, value) in mapping {
                object.insert(name(key)?, convert(value)?);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let value = convert(tagged.value)?;
            match tag.trim_start_matches('!') {
                "Ref" => json!({"Ref": value}),
                "Condition" => json!({"Condition": value}),
                "GetAtt" => match value.as_str().and_then(|text| text.split_once('.')) {
                    Some((resource, attribute)) => json!({"Fn::GetAtt": [resource, attribute]}),
                    None => json!({"Fn::GetAtt": value}),
                },
                function if function.starts_with(|c: char| c.is_ascii_uppercase()) => {
                    let mut object = Map::new();
                    object.insert(format!("Fn::{function}"), value);
                    Value::Object(object)
                }
                other => return Err(format!("the YAML tag !{other} is not known")),
            }
        }
    })
}

fn name(key: Yaml) -> Result<String, String> {
    match key {
        Yaml::String(text) => Ok(text),
        Yaml::Number(number) => Ok(number.to_string()),
        Yaml::Bool(flag) => Ok(flag.to_string()),
        _ => Err("a key is not a text".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_are_their_long_forms() {
        let text = "A: !Ref X\nB: !GetAtt R.Endpoint.Port\nC: !Sub '${X}-y'\nD: !If [C, !Ref X, 2]\nV: 2010-09-09\n";
        let wanted = json!({
            "A": {"Ref": "X"}, "B": {"Fn::GetAtt": ["R", "Endpoint.Port"]}, "C": {"Fn::Sub": "${X}-y"},
            "D": {"Fn::If": ["C", {"Ref": "X"}, 2]}, "V": "2010-09-09"
        });
        assert_eq!(parse(text).unwrap(), wanted);
    }
}
