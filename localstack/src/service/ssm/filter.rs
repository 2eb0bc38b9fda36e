//! `ParameterFilters` and `Filters` of lists of parameters. The texts of errors are those of AWS.

use serde_json::Value;

use super::parameter::{DEFAULT_KEY, TIERS, TYPES, tier};
use super::version;
use crate::AwsError;
use crate::records::{Record, texts};

const KEY_PATTERN: &str = "tag:.+|Name|Type|KeyId|Path|Label|Tier|DataType";

/// The filters of one operation: its keys, and those that its error names.
pub struct Keys {
    pub known: &'static [&'static str],
    pub named: &'static str,
    pub has_tags: bool,
}

pub const DESCRIBE: Keys = Keys {
    known: &["Path", "Name", "Type", "KeyId", "Tier", "DataType"],
    named: "[Path, Name, Type, KeyId, Tier]",
    has_tags: true,
};
pub const BY_PATH: Keys = Keys {
    known: &["Type", "KeyId", "Label"],
    named: "[Type, KeyId]",
    has_tags: false,
};
/// The former filters of `DescribeParameters`.
pub const FORMER: Keys = Keys {
    known: &["Name", "Type", "KeyId"],
    named: "[Name, Type, KeyId]",
    has_tags: false,
};

/// Keeps the parameters that match every filter.
///
/// # Errors
/// The error of the first filter that is not valid.
pub fn apply(found: &mut Vec<Record>, filters: &[Value], keys: &Keys) -> Result<(), AwsError> {
    check_members(filters)?;
    for (at, filter) in filters.iter().enumerate() {
        let key = key(filter);
        check(filter, keys)?;
        if filters[..at].iter().any(|other| self::key(other) == key) {
            return Err(AwsError::new(
                "InvalidFilterKey",
                format!(
                    "The following filter is duplicated in the request: {key}. A request can contain only one occurrence of a specific filter."
                ),
            ));
        }
    }
    for filter in filters {
        found.retain(|parameter| matches(parameter, filter));
    }
    Ok(())
}

fn key(filter: &Value) -> &str {
    filter["Key"].as_str().unwrap_or_default()
}

/// Checks lengths and patterns, as AWS's front end does; it reports all violations at once.
fn check_members(filters: &[Value]) -> Result<(), AwsError> {
    let mut violations = Vec::new();
    for (at, filter) in filters.iter().enumerate() {
        let at = at + 1;
        let mut add = |member: &str, value: &str, constraint: &str| {
            violations.push(format!(
                "Value '{value}' at 'parameterFilters.{at}.member.{member}' failed to satisfy constraint: {constraint}"
            ));
        };
        let (key, option, values) = (key(filter), filter["Option"].as_str(), texts(filter.get("Values")));
        let is_known = key.strip_prefix("tag:").is_some_and(|tag| !tag.is_empty())
            || KEY_PATTERN.split('|').skip(1).any(|known| known == key);
        if !is_known {
            let constraint = format!("Member must satisfy regular expression pattern: {KEY_PATTERN}");
            add("key", key, &constraint);
        }
        if key.chars().count() > 132 {
            add("key", key, "Member must have length less than or equal to 132");
        }
        if let Some(option) = option.filter(|option| option.chars().count() > 10) {
            add("option", option, "Member must have length less than or equal to 10");
        }
        let list = format!("[{}]", values.join(", "));
        if values.len() > 50 {
            add("values", &list, "Member must have length less than or equal to 50");
        }
        if values.iter().any(|value| !(1..=1024).contains(&value.chars().count())) {
            let constraint = "Member must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1]";
            add("values", &list, constraint);
        }
    }
    match violations.len() {
        0 => Ok(()),
        1 => Err(validation(format!("1 validation error detected: {}", violations[0]))),
        several => {
            let all = violations.join("; ");
            Err(validation(format!("{several} validation errors detected: {all}")))
        }
    }
}

fn validation(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationException", message)
}

fn check(filter: &Value, keys: &Keys) -> Result<(), AwsError> {
    let key = key(filter);
    if key.starts_with("tag:") && keys.has_tags {
        return Ok(());
    }
    if !keys.known.contains(&key) {
        return Err(AwsError::new(
            "InvalidFilterKey",
            format!(
                "The following filter key is not valid: {key}. Valid filter keys include: {}.",
                keys.named
            ),
        ));
    }
    let values = texts(filter.get("Values"));
    if values.is_empty() {
        return Err(AwsError::new(
            "InvalidFilterValue",
            format!("The following filter values are missing : null for filter key {key}"),
        ));
    }
    check_option(key, filter["Option"].as_str())?;
    let known: &[&str] = match key {
        "Tier" => &TIERS,
        "Type" if filter["Option"] != "BeginsWith" => &TYPES,
        "Path" => return values.iter().try_for_each(|path| check_path(path)),
        _ => return Ok(()),
    };
    match values.iter().find(|value| !known.contains(&value.as_str())) {
        None => Ok(()),
        Some(value) => Err(AwsError::new(
            "InvalidFilterValue",
            format!(
                "The following filter value is not valid: {value}. Valid values include: [{}]",
                known.join(", ")
            ),
        )),
    }
}

fn check_option(key: &str, option: Option<&str>) -> Result<(), AwsError> {
    let (known, named): (&[&str], &str) = match key {
        "Path" => (&["Recursive", "OneLevel"], "[Recursive, OneLevel]"),
        "Name" => (&["BeginsWith", "Equals", "Contains"], "[BeginsWith, Equals]."),
        _ => (&["BeginsWith", "Equals"], "[BeginsWith, Equals]."),
    };
    match option.filter(|option| !known.contains(option)) {
        None => Ok(()),
        Some(option) => Err(AwsError::new(
            "InvalidFilterOption",
            format!("The following filter option is not valid: {option}. Valid options include: {named}"),
        )),
    }
}

fn check_path(path: &str) -> Result<(), AwsError> {
    let lower = path.trim_start_matches('/').to_ascii_lowercase();
    if path.starts_with('/') && (lower.starts_with("aws") || lower.starts_with("ssm")) {
        return Err(validation(
            "Filters for common parameters can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).",
        ));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    if path.starts_with('/') && !path.contains("//") && path.chars().all(allowed) {
        return Ok(());
    }
    Err(validation(
        "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\". \
         It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only letters, numbers, or the following symbols: \
         . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if specified, must use the \
         forward slash symbol \"/\". Valid example: /get/parameters2-/by1./path0_.",
    ))
}

fn matches(parameter: &Record, filter: &Value) -> bool {
    let key = key(filter);
    let option = filter["Option"].as_str().unwrap_or("Equals");
    let values = texts(filter.get("Values"));
    let any = |matches: &dyn Fn(&str) -> bool| values.iter().any(|value| matches(value));
    let text = match key {
        "Path" => return any(&|path| is_below(&parameter.id, path, option == "Recursive")),
        "Label" => {
            return version::labels(parameter)
                .iter()
                .any(|label| any(&|value| value == label));
        }
        "Name" => Some(full_name(&parameter.id)),
        "Tier" => Some(tier(parameter)),
        "KeyId" => key_id(parameter),
        "Type" | "DataType" => parameter.text(key),
        tag => {
            let value = tag
                .strip_prefix("tag:")
                .and_then(|tag| parameter.tags.get(tag).cloned());
            if values.is_empty() {
                return value.is_some();
            }
            value
        }
    };
    let Some(text) = text else {
        return false;
    };
    // A name is the same with and without a leading slash.
    let bare = if key == "Name" {
        text.trim_start_matches('/')
    } else {
        &text
    };
    any(&|value| match option {
        "BeginsWith" => text.starts_with(value) || bare.starts_with(value),
        "Contains" => text.contains(value),
        _ => text == value || bare == value,
    })
}

/// Returns the key of a secure parameter.
pub fn key_id(parameter: &Record) -> Option<String> {
    let is_secure = parameter.has("Type", "SecureString");
    let default = is_secure.then(|| DEFAULT_KEY.to_owned());
    parameter.text("KeyId").or(default)
}

fn full_name(name: &str) -> String {
    if name.starts_with('/') {
        return name.to_owned();
    }
    format!("/{name}")
}

/// Returns true if a name is in a path, or below it.
pub fn is_below(name: &str, path: &str, recursive: bool) -> bool {
    let name = full_name(name);
    let rest = name.strip_prefix(&format!("{}/", path.trim_end_matches('/')));
    rest.is_some_and(|rest| recursive || !rest.contains('/'))
}
