//! Canonical form of template values: one spelling for what CloudFormation reads the same.

use serde_json::{Map, Value, json};

use crate::schema::Schema;

/// Keys that name the objects of a list, so that such a list is compared by name instead of by index.
const NAMES: [&str; 4] = ["Name", "Key", "Id", "AttributeName"];

/// Returns a template's value in canonical form: scalars as text, intrinsic functions in their simplest form, policies with
/// lists in place of single values, unordered lists sorted, and `AWS::NoValue` left out.
pub fn canonical(value: &Value, path: &[&str], schema: Option<&Schema>) -> Value {
    match value {
        Value::Object(object) => {
            if let Some(simple) = intrinsic(object) {
                simple
            } else {
                let mut sorted = Map::new();
                let mut keys: Vec<&String> = object.keys().collect();
                keys.sort_unstable();
                for key in keys {
                    let mut inner = path.to_vec();
                    inner.push(key);
                    let value = canonical(&object[key], &inner, schema);
                    if !is_absent(&value) {
                        sorted.insert(key.clone(), policy(key, value, path));
                    }
                }
                Value::Object(sorted)
            }
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items
                .iter()
                .map(|item| canonical(item, path, schema))
                .filter(|item| !is_absent(item))
                .collect();
            let unordered = schema.is_some_and(|schema| schema.is_unordered(path)) || in_policy(path);
            if unordered {
                items.sort_by_cached_key(Value::to_string);
            }
            Value::Array(items)
        }
        Value::Bool(flag) => Value::String(flag.to_string()),
        Value::Number(number) => Value::String(number.to_string()),
        other => other.clone(),
    }
}

/// Returns the key that identifies the objects of a list: all have it, with different values.
pub fn name_of_items(items: &[Value]) -> Option<&'static str> {
    NAMES.into_iter().find(|key| {
        let mut seen = std::collections::HashSet::new();
        !items.is_empty()
            && items
                .iter()
                .all(|item| item[key].as_str().is_some_and(|name| seen.insert(name)))
    })
}

fn is_absent(value: &Value) -> bool {
    value.is_null() || *value == json!({"Ref": "AWS::NoValue"})
}

/// Returns true below the keys where a list of one and its only member are the same (IAM: JSON policy elements).
fn in_policy(path: &[&str]) -> bool {
    path.iter()
        .any(|step| step.ends_with("PolicyDocument") || matches!(*step, "KeyPolicy" | "RepositoryPolicyText"))
}

fn policy(key: &str, value: Value, path: &[&str]) -> Value {
    let single = matches!(
        key,
        "Action" | "NotAction" | "Resource" | "NotResource" | "Statement" | "AWS" | "Service" | "Federated"
    );
    if single && in_policy(path) && !value.is_array() {
        Value::Array(vec![value])
    } else {
        value
    }
}

/// Returns the simplest form of an intrinsic function; `None` for another object.
fn intrinsic(object: &Map<String, Value>) -> Option<Value> {
    let (name, argument) = object.iter().next().filter(|_| object.len() == 1)?;
    match name.as_str() {
        "Ref" => Some(json!({"Ref": argument})),
        "Fn::GetAtt" => Some(match argument.as_str().and_then(|text| text.split_once('.')) {
            Some((resource, attribute)) => json!({"Fn::GetAtt": [resource, attribute]}),
            None => json!({"Fn::GetAtt": argument}),
        }),
        "Fn::Sub" => Some(substitution(argument)),
        "Fn::Join" => Some(joined(argument).unwrap_or_else(|| json!({"Fn::Join": argument}))),
        other if other.starts_with("Fn::") => Some(json!({ other: canonical(argument, &[], None) })),
        _ => None,
    }
}

/// Returns an `Fn::Sub` with its variables substituted, as a reference or a text if it is no more than that.
fn substitution(argument: &Value) -> Value {
    let (text, variables) = match argument {
        Value::String(text) => (text.clone(), None),
        Value::Array(pair) => match (
            pair.first().and_then(Value::as_str),
            pair.get(1).and_then(Value::as_object),
        ) {
            (Some(text), variables) => (text.to_owned(), variables),
            _ => return json!({"Fn::Sub": argument}),
        },
        _ => return json!({"Fn::Sub": argument}),
    };
    let mut text = text;
    let mut rest = Map::new();
    for (name, value) in variables.into_iter().flatten() {
        match piece(&canonical(value, &[], None)) {
            Some(piece) => text = text.replace(&format!("${{{name}}}"), &piece),
            None => drop(rest.insert(name.clone(), canonical(value, &[], None))),
        }
    }
    if rest.is_empty() {
        simplest(&text)
    } else {
        json!({"Fn::Sub": [text, rest]})
    }
}

/// Returns an `Fn::Join` of literals and references as the equal substitution.
fn joined(argument: &Value) -> Option<Value> {
    let (delimiter, items) = (argument.get(0)?.as_str()?, argument.get(1)?.as_array()?);
    let pieces: Option<Vec<String>> = items.iter().map(|item| piece(&canonical(item, &[], None))).collect();
    Some(simplest(&pieces?.join(&delimiter.replace("${", "${!"))))
}

/// Returns the form of a value inside the text of a substitution.
fn piece(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.replace("${", "${!")),
        Value::Object(object) if object.len() == 1 => {
            if let Some(name) = object.get("Ref").and_then(Value::as_str) {
                return Some(format!("${{{name}}}"));
            }
            if let Some(Value::Array(parts)) = object.get("Fn::GetAtt") {
                return Some(format!("${{{}.{}}}", parts.first()?.as_str()?, parts.get(1)?.as_str()?));
            }
            object.get("Fn::Sub").and_then(Value::as_str).map(str::to_owned)
        }
        _ => None,
    }
}

/// Returns a text that is one reference as that reference, a text without references as text, and any other as a substitution.
fn simplest(text: &str) -> Value {
    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    match inner {
        Some(name) if !name.contains(['{', '}', '!']) => match name.split_once('.') {
            Some((resource, attribute)) => json!({"Fn::GetAtt": [resource, attribute]}),
            None => json!({"Ref": name}),
        },
        _ if text.replace("${!", "").contains("${") => json!({"Fn::Sub": text}),
        _ => Value::String(text.replace("${!", "${")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &Value, b: &Value) {
        assert_eq!(canonical(a, &[], None), canonical(b, &[], None));
    }

    #[test]
    fn intrinsics_with_the_same_result_are_the_same() {
        same(
            &json!({"Fn::GetAtt": "Role.Arn"}),
            &json!({"Fn::GetAtt": ["Role", "Arn"]}),
        );
        same(
            &json!({"Fn::Sub": "${Role.Arn}"}),
            &json!({"Fn::GetAtt": ["Role", "Arn"]}),
        );
        same(&json!({"Fn::Sub": "plain"}), &json!("plain"));
        same(
            &json!({"Fn::Sub": ["${A}/x", {"A": {"Ref": "B"}}]}),
            &json!({"Fn::Sub": "${B}/x"}),
        );
        same(
            &json!({"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":s3:::b"]]}),
            &json!({"Fn::Sub": "arn:${AWS::Partition}:s3:::b"}),
        );
        same(&json!({"Fn::Join": [",", ["a", "b"]]}), &json!("a,b"));
    }

    #[test]
    fn scalars_key_order_and_no_value_make_no_difference() {
        same(
            &json!({"A": 80, "B": true, "C": {"Ref": "AWS::NoValue"}}),
            &json!({"B": "true", "A": "80"}),
        );
    }

    #[test]
    fn a_policy_is_the_same_with_and_without_lists() {
        let short = json!({"PolicyDocument": {"Statement": {"Action": "s3:GetObject", "Resource": "*"}}});
        let long = json!({"PolicyDocument": {"Statement": [{"Action": ["s3:GetObject"], "Resource": ["*"]}]}});
        same(&short, &long);
    }

    #[test]
    fn values_that_differ_stay_different() {
        let (a, b) = (json!({"Fn::Sub": "${A}-x"}), json!({"Fn::Sub": "${A}-y"}));
        assert_ne!(canonical(&a, &[], None), canonical(&b, &[], None));
        assert_ne!(
            canonical(&json!(["b", "a"]), &["Command"], None),
            canonical(&json!(["a", "b"]), &["Command"], None)
        );
    }
}
