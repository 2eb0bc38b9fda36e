//! Parameters: their types, defaults and constraints.

use indexmap::IndexMap;
use regex::Regex;
use serde_json::{Map, Value, json};

use crate::scope::{UNKNOWN, text};
use crate::template::Template;
use endpoint_core::{AwsError, Context};

/// The parameters of a request, with defaults, as they are stored; [`shown`] masks `NoEcho` values.
pub type Parameters = IndexMap<String, String>;

/// Returns the parameters of a template: from the request, previous values on request, then defaults.
///
/// # Errors
/// `ValidationError` for parameters that are missing, not declared, or violate their constraints.
pub fn gather(template: &Template, input: &[Value], previous: &Parameters) -> Result<Parameters, AwsError> {
    let mut given = Parameters::new();
    for entry in input {
        let key = entry
            .get("ParameterKey")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let use_previous = entry
            .get("UsePreviousValue")
            .and_then(text)
            .is_some_and(|t| t == "true");
        let value = match previous.get(&key) {
            Some(value) if use_previous => value.clone(),
            None if use_previous => {
                return Err(AwsError::validation(format!(
                    "Parameters: [{key}] have no previous value"
                )));
            }
            _ => entry.get("ParameterValue").and_then(text).unwrap_or_default(),
        };
        given.insert(key, value);
    }
    let undeclared: Vec<&str> = given
        .keys()
        .filter(|k| !template.parameters.contains_key(*k))
        .map(String::as_str)
        .collect();
    if !undeclared.is_empty() {
        return Err(AwsError::validation(format!(
            "Parameters: [{}] do not exist in the template",
            undeclared.join(", ")
        )));
    }
    let mut all = Parameters::new();
    let mut missing = Vec::new();
    for (name, spec) in &template.parameters {
        match given.get(name).cloned().or_else(|| spec.get("Default").and_then(text)) {
            Some(value) => {
                if !value.contains(UNKNOWN) {
                    check_constraints(name, spec, &value)?;
                }
                all.insert(name.clone(), value);
            }
            None => missing.push(name.as_str()),
        }
    }
    if missing.is_empty() {
        Ok(all)
    } else {
        Err(AwsError::validation(format!(
            "Parameters: [{}] must have values",
            missing.join(", ")
        )))
    }
}

/// Returns the value of `Ref` for each parameter: lists are split, SSM parameters are looked up.
///
/// # Errors
/// `ValidationError` for an SSM parameter that does not exist.
pub async fn values(
    cx: &Context,
    template: &Template,
    parameters: &Parameters,
) -> Result<Map<String, Value>, AwsError> {
    let mut values = Map::new();
    for (name, value) in parameters {
        // The parameter of a nested stack in a change set.
        if value.contains(UNKNOWN) {
            values.insert(name.clone(), UNKNOWN.into());
            continue;
        }
        let parameter_type = template.parameters.get(name).map(parameter_type).unwrap_or_default();
        let (is_list, value) = match parameter_type.strip_prefix("AWS::SSM::Parameter::Value<") {
            Some(inner) => (is_list(inner.trim_end_matches('>')), look_up(cx, name, value).await?),
            None => (is_list(&parameter_type), value.clone()),
        };
        let value = match is_list {
            true if value.is_empty() => json!([]),
            true => value.split(',').map(|part| Value::from(part.trim())).collect(),
            false => Value::from(value),
        };
        if ZONE_TYPES.contains(&parameter_type.as_str()) {
            check_zones(cx, name, &value).await?;
        }
        values.insert(name.clone(), value);
    }
    Ok(values)
}

/// The types whose values are names of Availability Zones ("AWS-specific parameter types").
const ZONE_TYPES: [&str; 2] = [
    "AWS::EC2::AvailabilityZone::Name",
    "List<AWS::EC2::AvailabilityZone::Name>",
];

/// Checks that zones exist, as CloudFormation does before it begins.
async fn check_zones(cx: &Context, name: &str, value: &Value) -> Result<(), AwsError> {
    let response = cx.call("ec2", "DescribeAvailabilityZones", json!({})).await?;
    let zones = response["AvailabilityZones"].as_array().cloned().unwrap_or_default();
    let exists = |zone: &Value| zones.iter().any(|known| known["ZoneName"] == *zone);
    let given = match value {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    match given.iter().find(|zone| !exists(zone)) {
        Some(missing) => Err(AwsError::validation(format!(
            "Parameter validation failed: parameter value {} for parameter name {name} does not exist.",
            text(missing).unwrap_or_default()
        ))),
        None => Ok(()),
    }
}

/// Returns the values of `NoEcho` parameters, which must not be shown.
pub fn secrets(template: &Template, parameters: &Parameters) -> Vec<String> {
    let hidden = parameters
        .iter()
        .filter(|(name, value)| template.parameters.get(*name).is_some_and(no_echo) && !value.is_empty());
    hidden.map(|(_, value)| value.clone()).collect()
}

/// Returns `Parameters` in the form of `DescribeStacks`, `NoEcho` values as `****`.
pub fn shown(template: &Template, parameters: &Parameters, resolved: &Map<String, Value>) -> Value {
    let entries = parameters.iter().map(|(name, value)| {
        let spec = template.parameters.get(name);
        let value = if spec.is_some_and(no_echo) {
            "****"
        } else {
            value.as_str()
        };
        let mut entry = json!({"ParameterKey": name, "ParameterValue": value});
        if spec
            .map(parameter_type)
            .is_some_and(|k| k.starts_with("AWS::SSM::Parameter::Value"))
        {
            entry["ResolvedValue"] = resolved.get(name).and_then(text).unwrap_or_default().into();
        }
        entry
    });
    entries.collect()
}

/// Returns true if the value of a parameter must not be shown.
pub fn no_echo(spec: &Value) -> bool {
    spec.get("NoEcho").and_then(text).is_some_and(|t| t == "true")
}

/// Returns the type of a parameter, `String` by default.
pub fn parameter_type(spec: &Value) -> String {
    spec.get("Type").and_then(Value::as_str).unwrap_or("String").to_owned()
}

fn is_list(parameter_type: &str) -> bool {
    parameter_type == "CommaDelimitedList" || parameter_type.starts_with("List<")
}

async fn look_up(cx: &Context, name: &str, key: &str) -> Result<String, AwsError> {
    let response = cx
        .call("ssm", "GetParameter", json!({"Name": key}))
        .await
        .map_err(|error| {
            if error.code == "ParameterNotFound" {
                let message = format!("Parameter {name} should either have input value or default value");
                return AwsError::validation(message);
            }
            AwsError::validation(format!(
                "Unable to fetch parameters [{key}] from parameter store for this account ({name}: {}).",
                error.code
            ))
        })?;
    Ok(response["Parameter"]["Value"].as_str().unwrap_or_default().to_owned())
}

/// Checks the constraints of a parameter.
fn check_constraints(name: &str, spec: &Value, value: &str) -> Result<(), AwsError> {
    let described = spec.get("ConstraintDescription").and_then(Value::as_str);
    let violated = |message: String| {
        let message = described.map_or(message, |d| {
            format!("Parameter {name} failed to satisfy constraint: {d}")
        });
        Err(AwsError::validation(message))
    };
    let shown = if no_echo(spec) { "****" } else { value };
    if let Some(allowed) = spec.get("AllowedValues").and_then(Value::as_array) {
        let values: Vec<&str> = if is_list(&parameter_type(spec)) {
            value.split(',').map(str::trim).collect()
        } else {
            vec![value]
        };
        if !values
            .iter()
            .all(|v| allowed.iter().any(|a| text(a).as_deref() == Some(v)))
        {
            let allowed: Vec<String> = allowed.iter().filter_map(text).collect();
            return violated(format!(
                "Parameter '{name}' must be one of AllowedValues [{}]",
                allowed.join(", ")
            ));
        }
    }
    if let Some(pattern) = spec.get("AllowedPattern").and_then(Value::as_str) {
        let Ok(regex) = Regex::new(&format!("^(?:{pattern})$")) else {
            return Err(AwsError::validation(format!(
                "Parameter '{name}' has an AllowedPattern that is not a valid regular expression: {pattern}"
            )));
        };
        if !regex.is_match(value) {
            return violated(format!("Parameter '{name}' must match pattern {pattern}"));
        }
    }
    let limit = |key: &str| spec.get(key).and_then(text).and_then(|t| t.parse::<f64>().ok());
    let length = value.chars().count() as f64;
    if limit("MinLength").is_some_and(|min| length < min) || limit("MaxLength").is_some_and(|max| length > max) {
        return violated(format!(
            "Parameter '{name}' must contain at least {} and at most {} characters",
            limit("MinLength").unwrap_or(0.0),
            limit("MaxLength").unwrap_or(4096.0)
        ));
    }
    let numbers: Vec<&str> = match parameter_type(spec).as_str() {
        "Number" => vec![value],
        "List<Number>" => value.split(',').map(str::trim).collect(),
        _ => return Ok(()),
    };
    for number in numbers {
        let Ok(number) = number.parse::<f64>() else {
            return violated(format!("Parameter '{name}' must be a number."));
        };
        if limit("MinValue").is_some_and(|min| number < min) || limit("MaxValue").is_some_and(|max| number > max) {
            return violated(format!(
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
    fn an_error_names_the_parameter() {
        let error = |input: &[Value]| gather(&template(), input, &Parameters::new()).unwrap_err().message;
        assert_eq!(error(&[]), "Parameters: [N] must have values");
        assert_eq!(
            error(&[entry("N", "1"), entry("Z", "1")]),
            "Parameters: [Z] do not exist in the template"
        );
        assert_eq!(
            error(&[entry("N", "9")]),
            "Parameter 'N' must be a number within its MinValue and MaxValue: 9"
        );
        assert_eq!(
            error(&[entry("N", "1"), entry("A", "z")]),
            "Parameter 'A' must be one of AllowedValues [x, y]"
        );
    }

    #[test]
    fn a_no_echo_value_is_masked() {
        let parameters = gather(&template(), &[entry("N", "1")], &Parameters::new()).unwrap();
        let shown = shown(&template(), &parameters, &Map::new()).to_string();
        assert!(shown.contains("****") && !shown.contains("hidden"), "{shown}");
    }
}
