//! Reader of YAML and JSON templates, with the short forms of intrinsic functions.

use serde_json::{Map, Number, Value, json};
use serde_yaml_ng::Value as Yaml;

/// A text that is not a template. The wording of the first two is CloudFormation's.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The text begins as JSON and is not.
    #[error("JSON not well-formed. ({0})")]
    Json(#[source] serde_json::Error),
    /// The text is not YAML.
    #[error("YAML not well-formed. ({0})")]
    Yaml(#[source] serde_yaml_ng::Error),
    /// A tag is not the short form of an intrinsic function.
    #[error("unknown YAML tag !{0}")]
    UnknownTag(String),
    /// The key of a mapping is a list, a mapping or null.
    #[error("a key is not a text")]
    Key,
}

/// Reads YAML or JSON text.
///
/// # Errors
/// The text is neither JSON nor YAML, or has a tag or key that no template has.
pub fn parse(text: &str) -> Result<Value, ParseError> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(ParseError::Json);
    }
    convert(serde_yaml_ng::from_str(text).map_err(ParseError::Yaml)?)
}

fn convert(yaml: Yaml) -> Result<Value, ParseError> {
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
                other => return Err(ParseError::UnknownTag(other.to_owned())),
            }
        }
    })
}

fn name(key: Yaml) -> Result<String, ParseError> {
    match key {
        Yaml::String(text) => Ok(text),
        Yaml::Number(number) => Ok(number.to_string()),
        Yaml::Bool(flag) => Ok(flag.to_string()),
        _ => Err(ParseError::Key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_are_their_long_forms() {
        let text = "A: !Ref X\nB: !GetAtt R.Endpoint.Port\nC: !Sub '${X}-y'\nD: !If [C, !Ref X, 2]\nV: 2010-09-09\n";
        let expected = json!({
            "A": {"Ref": "X"}, "B": {"Fn::GetAtt": ["R", "Endpoint.Port"]}, "C": {"Fn::Sub": "${X}-y"},
            "D": {"Fn::If": ["C", {"Ref": "X"}, 2]}, "V": "2010-09-09"
        });
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn what_is_not_a_template_is_rejected_with_its_reason() {
        assert!(matches!(parse("{"), Err(ParseError::Json(_))));
        assert!(matches!(parse("a: ["), Err(ParseError::Yaml(_))));
        assert!(matches!(parse("a: !lower b"), Err(ParseError::UnknownTag(tag)) if tag == "lower"));
        assert!(matches!(parse("[a]: b"), Err(ParseError::Key)));
    }
}
