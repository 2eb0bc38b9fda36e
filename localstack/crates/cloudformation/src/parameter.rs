//! Parameters: their types, defaults and constraints.

use indexmap::IndexMap;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::scope::text;
use super::template::Template;
use endpoint_core::{AwsError, Context};

/// A stack's parameters as they were given: kept, and shown with [`shown`].
pub type Given = IndexMap<String, String>;

/// The values for a template: given ones, previous ones where asked for, then defaults.
///
/// # Errors
/// `ValidationError` for parameters that are missing, not declared, or outside their constraints.
pub fn gather(template: &Template, input: &[Value], previous: Option<&Given>) -> Result<Given, AwsError> {
    let mut given = Given::new();
    for entry in input {
        let key = entry
            .get("ParameterKey")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let keeps = entry
            .get("UsePreviousValue")
            .and_then(text)
            .is_some_and(|t| t == "true");
        let value = match previous.and_then(|p| p.get(&key)) {
            Some(value) if keeps => value.clone(),
            None if keeps => {
                return Err(AwsError::validation(format!(
                    "Parameters: [{key}] have no previous value"
                )));
            }
            _ => entry.get("ParameterValue").and_then(text).unwrap_or_default(),
        };
        given.insert(key, value);
    }
    let odd: Vec<&str> = given
        .keys()
        .filter(|k| !template.parameters.contains_key(*k))
        .map(String::as_str)
        .collect();
    if !odd.is_empty() {
        return Err(AwsError::validation(format!(
            "Parameters: [{}] do not exist in the template",
            odd.join(", ")
        )));
    }
    let mut all = Given::new();
    let mut missing = Vec::new();
    for (name, spec) in &template.parameters {
        match given.get(name).cloned().or_else(|| spec.get("Default").and_then(text)) {
            Some(value) => {
                constrain(name, spec, &value)?;
                all.insert(name.clone(), value);
            }
            None => missing.push(name.as_str()),
        }
    }
    match missing.is_empty() {
        true => Ok(all),
        false => Err(AwsError::validation(format!(
            "Parameters: [{}] must have values",
            missing.join(", ")
        ))),
    }
}

/// What `Ref` gives for each parameter: lists are split, SSM parameters are looked up.
pub async fn values(cx: &Context, template: &Template, given: &Given) -> Result<Map<String, Value>, AwsError> {
    let mut values = Map::new();
    for (name, value) in given {
        let kind = template.parameters.get(name).map(kind).unwrap_or_default();
        let (is_list, value) = match kind.strip_prefix("AWS::SSM::Parameter::Value<") {
            Some(inner) => (is_list(inner.trim_end_matches('>')), looked_up(cx, name, value).await?),
            None => (is_list(&kind), value.clone()),
        };
        let value = match is_list {
            true if value.is_empty() => json!([]),
            true => value.split(',').map(|part| Value::from(part.trim())).collect(),
            false => Value::from(value),
        };
        values.insert(name.clone(), value);
    }
    Ok(values)
}

/// The values that nobody may see: those of `NoEcho` parameters.
pub fn secrets(template: &Template, given: &Given) -> Vec<String> {
    let hidden = given
        .iter()
        .filter(|(name, value)| template.parameters.get(*name).is_some_and(no_echo) && !value.is_empty());
    hidden.map(|(_, value)| value.clone()).collect()
}

/// `Parameters` as `DescribeStacks` shows them, `NoEcho` values as `****`.
pub fn shown(template: &Template, given: &Given, resolved: &Map<String, Value>) -> Value {
    let entries = given.iter().map(|(name, value)| {
        let spec = template.parameters.get(name);
        let value = if spec.is_some_and(no_echo) {
            "****"
        } else {
            value.as_str()
        };
        let mut entry = json!({"ParameterKey": name, "ParameterValue": value});
        if spec
            .map(kind)
            .is_some_and(|k| k.starts_with("AWS::SSM::Parameter::Value"))
        {
            entry["ResolvedValue"] = resolved.get(name).and_then(text).unwrap_or_default().into();
        }
        entry
    });
    entries.collect()
}

/// Whether a parameter's value must not be shown.
pub fn no_echo(spec: &Value) -> bool {
    spec.get("NoEcho").and_then(text).is_some_and(|t| t == "true")
}

/// A parameter's type; `String` when nothing is said.
pub fn kind(spec: &Value) -> String {
    spec.get("Type").and_then(Value::as_str).unwrap_or("String").to_owned()
}

fn is_list(kind: &str) -> bool {
    kind == "CommaDelimitedList" || kind.starts_with("List<")
}

async fn looked_up(cx: &Context, name: &str, key: &str) -> Result<String, AwsError> {
    let answer = cx
        .call("ssm", "GetParameter", json!({"Name": key}))
        .await
        .map_err(|error| {
            AwsError::validation(format!(
                "Unable to fetch parameters [{key}] from parameter store for this account ({name}: {}).",
                error.code
            ))
        })?;
    Ok(answer["Parameter"]["Value"].as_str().unwrap_or_default().to_owned())
}

fn constrain(name: &str, spec: &Value, value: &str) -> Result<(), AwsError> {
    let described = spec.get("ConstraintDescription").and_then(Value::as_str);
    let broken = |words: String| {
        let words = described.map_or(words, |d| format!("Parameter {name} failed to satisfy constraint: {d}"));
        Err(AwsError::validation(words))
    };
    let shown = if no_echo(spec) { "****" } else { value };
    if let Some(allowed) = spec.get("AllowedValues").and_then(Value::as_array) {
        let of_each: Vec<&str> = if is_list(&kind(spec)) {
            value.split(',').map(str::trim).collect()
        } else {
            vec![value]
        };
        if !of_each
            .iter()
            .all(|v| allowed.iter().any(|a| text(a).as_deref() == Some(v)))
        {
            let allowed: Vec<String> = allowed.iter().filter_map(text).collect();
            return broken(format!(
                "Parameter '{name}' must be one of AllowedValues [{}]",
                allowed.join(", ")
            ));
        }
    }
    if let Some(pattern) = spec.get("AllowedPattern").and_then(Value::as_str) {
        let Ok(regex) = Regex::new(&format!("^(?:{pattern})$")) else {
            return Err(AwsError::validation(format!(
                "Parameter '{name}' has an AllowedPattern that cannot be read: {pattern}"
            )));
        };
        if !regex.is_match(value) {
            return broken(format!("Parameter '{name}' must match pattern {pattern}"));
        }
    }
    let limit = |key: &str| spec.get(key).and_then(text).and_then(|t| t.parse::<f64>().ok());
    let length = value.chars().count() as f64;
    if limit("MinLength").is_some_and(|least| length < least) || limit("MaxLength").is_some_and(|most| length > most) {
        return broken(format!(
            "Parameter '{name}' must contain at least {} and at most {} characters",
            limit("MinLength").unwrap_or(0.0),
            limit("MaxLength").unwrap_or(4096.0)
        ));
    }
    let numbers: Vec<&str> = match kind(spec).as_str() {
        "Number" => vec![value],
        "List<Number>" => value.split(',').map(str::trim).collect(),
        _ => return Ok(()),
    };
    for number in numbers {
        let Ok(number) = number.parse::<f64>() else {
            return broken(format!("Parameter '{name}' must be a number: {shown}"));
        };
        if limit("MinValue").is_some_and(|least| number < least) || limit("MaxValue").is_some_and(|most| number > most)
        {
            return broken(format!(
                "Parameter '{name}' must be a number within its MinValue and MaxValue: {shown}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Template {
        Template::parse(r#"{"Parameters": {"A": {"Type": "String", "AllowedValues": ["x", "y"], "Default": "x"}, "N": {"Type": "Number", "MaxValue": 5}, "S": {"Type": "String", "NoEcho": true, "Default": "hidden"}}, "Resources": {"R": {"Type": "T"}}}"#).unwrap()
    }

    fn entry(key: &str, value: &str) -> Value {
        json!({"ParameterKey": key, "ParameterValue": value})
    }

    #[test]
    fn bad_parameters_are_named() {
        let refused = |input: &[Value]| gather(&template(), input, None).unwrap_err().message;
        assert!(refused(&[]).contains("[N] must have values"));
        assert!(refused(&[entry("N", "1"), entry("Z", "1")]).contains("[Z] do not exist"));
        assert!(refused(&[entry("N", "9")]).contains("'N'"));
        assert!(refused(&[entry("N", "1"), entry("A", "z")]).contains("AllowedValues [x, y]"));
    }

    #[test]
    fn a_no_echo_value_is_not_shown() {
        let given = gather(&template(), &[entry("N", "1")], None).unwrap();
        let shown = shown(&template(), &given, &Map::new()).to_string();
        assert!(shown.contains("****") && !shown.contains("hidden"), "{shown}");
    }
}
