//! The forms of intrinsic functions, which a request is checked for before anything is evaluated.

use serde_json::Value;

use crate::references::function;
use endpoint_core::AwsError;

/// A function's name, the test of its argument, and CloudFormation's error after "Template error: ".
type Form = (&'static str, fn(&Value) -> bool, &'static str);

const FORMS: &[Form] = &[
    (
        "Ref",
        Value::is_string,
        "every Ref object must have a single String value.",
    ),
    (
        "Fn::GetAtt",
        is_attribute,
        "every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute",
    ),
    (
        "Fn::Join",
        |v| matches!(list(v), [Value::String(_), rest] if is_list(rest)),
        "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a \
         function that returns a list of strings (such as Fn::GetAZs) to be joined.",
    ),
    (
        "Fn::Split",
        |v| matches!(list(v), [Value::String(delimiter), source] if !delimiter.is_empty() && is_text(source)),
        "every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that \
         returns a string to be split.",
    ),
    (
        "Fn::Select",
        is_selection,
        "Fn::Select requires a list argument with two elements: an integer index and a list",
    ),
    (
        "Fn::If",
        |v| matches!(list(v), [Value::String(_), _, _]),
        "Fn::If requires a list argument with three elements, the first of which is the name of a condition",
    ),
    (
        "Fn::FindInMap",
        |v| matches!(list(v), [map, first, second] if [map, first, second].into_iter().all(is_text)),
        "every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value",
    ),
    (
        "Fn::Sub",
        |v| {
            matches!(
                (v, list(v)),
                (Value::String(_), _) | (_, [Value::String(_), Value::Object(_)])
            )
        },
        "One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an \
         optional second argument to specify a mapping of values to replace in the string",
    ),
    (
        "Fn::Equals",
        |v| list(v).len() == 2,
        "every Fn::Equals object requires a list of 2 string parameters.",
    ),
    (
        "Fn::And",
        is_logical,
        "every Fn::And object requires a list of at least 2 and at most 10 boolean parameters.",
    ),
    (
        "Fn::Or",
        is_logical,
        "every Fn::Or object requires a list of at least 2 and at most 10 boolean parameters.",
    ),
    (
        "Fn::Not",
        |v| list(v).len() == 1,
        "every Fn::Not object requires a list of 1 boolean parameter.",
    ),
    (
        "Fn::Base64",
        is_text,
        "every Fn::Base64 object must have a String-typed value.",
    ),
    (
        "Fn::ImportValue",
        is_text,
        "the attribute in Fn::ImportValue must be a string or a function that returns a string",
    ),
    (
        "Fn::Cidr",
        |v| matches!(list(v), [block, count] | [block, count, _] if is_text(block) && !count.is_array()),
        "every Fn::Cidr object requires two required parameters, (1) ipBlock and (2) count, and an optional one, (3) cidrBits",
    ),
    (
        "Fn::GetAZs",
        |v| v.is_null() || is_text(v),
        "Fn::GetAZs requires the name of a region",
    ),
];

/// The functions that the transform `AWS::LanguageExtensions` adds or extends.
const EXTENSIONS: &[Form] = &[
    (
        "Fn::FindInMap",
        |v| {
            matches!(list(v), [keys @ .., Value::Object(options)] if keys.len() == 3 && keys.iter().all(is_text) && options.contains_key("DefaultValue"))
                || matches!(list(v), keys @ [_, _, _] if keys.iter().all(is_text))
        },
        "every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value, and an \
         optional object with a DefaultValue",
    ),
    (
        "Fn::Length",
        is_list,
        "every Fn::Length object requires a list or a function that returns a list",
    ),
    (
        "Fn::ToJsonString",
        |v| v.is_array() || v.is_object(),
        "every Fn::ToJsonString object requires an object or a list",
    ),
];

/// Checks the form of every function in an expression. `is_extended` permits those of `AWS::LanguageExtensions`.
///
/// # Errors
/// `ValidationError` for the first malformed or unknown function.
pub fn check(expression: &Value, is_extended: bool) -> Result<(), AwsError> {
    if let Some((name, argument)) = function(expression) {
        let extensions = if is_extended { EXTENSIONS } else { &[] };
        let form = extensions.iter().chain(FORMS).find(|(known, ..)| *known == name);
        match form {
            Some((_, is_valid, message)) if !is_valid(argument) => {
                return Err(AwsError::validation(format!("Template error: {message}")));
            }
            // `Condition` is a condition's name in an expression, and an object in an IAM policy.
            None if name != "Condition" => {
                return Err(AwsError::validation(format!(
                    "Template error: Encountered unsupported function: {name}"
                )));
            }
            _ => {}
        }
    } else if let Some(object) = expression.as_object()
        && let Some(name) = object.keys().find(|key| key.starts_with("Fn::"))
    {
        let message = format!("Template error: the function {name} must be the only member of its object");
        return Err(AwsError::validation(message));
    }
    match expression {
        Value::Array(list) => list.iter().try_for_each(|item| check(item, is_extended)),
        Value::Object(object) => object.values().try_for_each(|member| check(member, is_extended)),
        _ => Ok(()),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn is_list(value: &Value) -> bool {
    value.is_array() || function(value).is_some()
}

fn is_text(value: &Value) -> bool {
    !value.is_array() && !value.is_null() && (!value.is_object() || function(value).is_some())
}

fn is_logical(value: &Value) -> bool {
    (2..=10).contains(&list(value).len())
}

fn is_attribute(value: &Value) -> bool {
    let is_named = |name: &Value| name.as_str().is_some_and(|name| !name.is_empty());
    match value {
        Value::String(text) => text
            .split_once('.')
            .is_some_and(|(r, a)| !r.is_empty() && !a.is_empty()),
        Value::Array(parts) => match parts.as_slice() {
            [resource, attribute] => is_named(resource) && (is_named(attribute) || function(attribute).is_some()),
            // `!GetAtt [R, A, B]` is the attribute `A.B`.
            [_, _, _, ..] => parts.iter().all(is_named),
            _ => false,
        },
        _ => false,
    }
}

/// The index of a literal list must be within it.
fn is_selection(value: &Value) -> bool {
    let [index, from] = list(value) else { return false };
    if !is_list(from) {
        return false;
    }
    if index.is_object() {
        return function(index).is_some();
    }
    let index = crate::scope::text(index).and_then(|text| text.parse::<usize>().ok());
    // `AWS::NoValue` and conditions may shorten a list that has functions; its evaluation tells.
    index.is_some_and(|index| from.as_array().is_none_or(|items| index < items.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_malformed_function_is_refused_wherever_it_is() {
        let malformed = [
            json!({"Ref": ["A"]}),
            json!({"Fn::GetAtt": ["A"]}),
            json!({"Fn::GetAtt": "A"}),
            json!({"Fn::GetAtt": ["A", ""]}),
            json!({"Fn::Join": [",", "a"]}),
            json!({"Fn::Split": ["", "a"]}),
            json!({"Fn::Split": [",", ["a"]]}),
            json!({"Fn::Select": ["one", ["a"]]}),
            json!({"Fn::Select": [1, ["a"]]}),
            json!({"Fn::Select": [0, "a"]}),
            json!({"Fn::If": ["C", 1]}),
            json!({"Fn::FindInMap": ["M", "a"]}),
            json!({"Fn::Sub": ["a"]}),
            json!({"Fn::Equals": ["a"]}),
            json!({"Fn::And": [true]}),
            json!({"Fn::Cidr": "10.0.0.0/8"}),
            json!({"Fn::Unknown": "a"}),
            json!({"Fn::Sub": "a", "Other": 1}),
        ];
        for function in malformed {
            let nested = json!({"P": [{"Fn::Base64": {"Fn::If": ["C", function, "x"]}}]});
            assert_eq!(check(&nested, false).unwrap_err().code, "ValidationError", "{function}");
        }
    }

    #[test]
    fn valid_forms_are_accepted() {
        for function in [
            json!({"Fn::GetAtt": ["A", {"Ref": "B"}]}),
            json!({"Fn::GetAtt": "A.B.C"}),
            json!({"Fn::GetAZs": null}),
            json!({"Fn::GetAZs": ""}),
            json!({"Fn::Select": [{"Ref": "I"}, {"Fn::GetAZs": ""}]}),
            json!({"Fn::Split": [",", {"Ref": "A"}]}),
            json!({"Fn::Sub": ["${a}", {"a": 1}]}),
            json!({"Condition": {"StringEquals": {"a": "b"}}}),
        ] {
            assert!(check(&function, false).is_ok(), "{function}");
        }
    }
}
