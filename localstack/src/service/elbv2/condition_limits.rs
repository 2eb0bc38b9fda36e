//! Limits of the conditions of a rule (Elastic Load Balancing API, `RuleCondition` and the types of its members).

use serde_json::Value;

use super::model::text;
use crate::AwsError;
use crate::records::texts;

/// The most characters of a host name, a path, a header's value, a key or a value of a query string.
const MAX_VALUE: usize = 128;
/// The most characters of the name of a header, and of a request method.
const MAX_NAME: usize = 40;
/// The fields with the member that configures each.
const CONFIGS: [(&str, &str); 6] = [
    ("host-header", "HostHeaderConfig"),
    ("path-pattern", "PathPatternConfig"),
    ("http-header", "HttpHeaderConfig"),
    ("http-request-method", "HttpRequestMethodConfig"),
    ("query-string", "QueryStringConfig"),
    ("source-ip", "SourceIpConfig"),
];

/// Checks the values of a condition. An unknown field is not checked.
///
/// # Errors
/// `ValidationError` for what AWS refuses.
pub fn check(field: &str, condition: &Value) -> Result<(), AwsError> {
    let Some((_, member)) = CONFIGS.iter().find(|(known, _)| *known == field) else {
        return Ok(());
    };
    let config = condition.get(*member);
    // Hosts and paths can also be given by the older member Values, one of them.
    let older = texts(condition.get("Values"));
    let values = texts(config.and_then(|config| config.get("Values")));
    let has_older = ["host-header", "path-pattern"].contains(&field);
    if has_older && older.len() > 1 {
        return refused(format!(
            "The '{field}' field contains too many values; the limit is '1'"
        ));
    }
    if has_older && older.is_empty() && values.is_empty() {
        return refused("A condition value must be specified".to_owned());
    }
    let Some(config) = config else {
        return if has_older || !older.is_empty() {
            limit(field, older.iter(), MAX_VALUE)
        } else {
            refused(format!("A '{member}' must be specified with '{field}'"))
        };
    };
    match field {
        "query-string" => return check_pairs(config),
        "http-header" => {
            let name = text(config, "HttpHeaderName").unwrap_or_default();
            limit("HttpHeaderName", [name].iter(), MAX_NAME)?;
        }
        "http-request-method" => {
            let allowed = |c: char| c.is_ascii_uppercase() || c == '-' || c == '_';
            if values.iter().any(|value| !value.chars().all(allowed)) {
                return refused(format!(
                    "The '{field}' value is invalid; the allowed characters are A-Z, hyphen and underscore"
                ));
            }
            limit(field, values.iter(), MAX_NAME)?;
        }
        _ => {}
    }
    if values.is_empty() && older.is_empty() {
        return refused(format!("A '{field}' value must be specified"));
    }
    limit(field, values.iter().chain(&older), MAX_VALUE)
}

fn check_pairs(config: &Value) -> Result<(), AwsError> {
    let pairs = config
        .get("Values")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if pairs.is_empty() {
        return refused("A 'query-string' value must be specified".to_owned());
    }
    for pair in pairs {
        let Some(value) = text(pair, "Value") else {
            return refused("A 'Value' must be specified in 'QueryStringKeyValuePair'".to_owned());
        };
        limit("Key", text(pair, "Key").iter(), MAX_VALUE)?;
        limit("Value", [value].iter(), MAX_VALUE)?;
    }
    Ok(())
}

fn limit<'a>(name: &str, mut values: impl Iterator<Item = &'a String>, most: usize) -> Result<(), AwsError> {
    if values.any(|value| value.chars().count() > most) {
        return refused(format!("The '{name}' value is too long; the limit is '{most}'"));
    }
    Ok(())
}

fn refused(message: String) -> Result<(), AwsError> {
    Err(AwsError::validation(message))
}
