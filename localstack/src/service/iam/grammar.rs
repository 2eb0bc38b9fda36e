//! The grammar of identity policies (IAM User Guide, "Grammar of the IAM JSON policy language"). Errors have the texts of AWS, and the
//! order in which AWS finds them: syntax, version, what a first parser rejects, statement IDs, resources, actions.

use serde_json::{Map, Value};

use super::policy_date;
use crate::AwsError;

const LEGACY: &str = "The policy failed legacy parsing";
/// The size of a managed policy (IAM quotas).
const MAX_SIZE: usize = 6144;
/// Condition operators; each may end with `IfExists` and follow `ForAllValues:` or `ForAnyValue:`.
const OPERATORS: &str = "StringEquals StringNotEquals StringEqualsIgnoreCase StringNotEqualsIgnoreCase StringLike StringNotLike \
    NumericEquals NumericNotEquals NumericLessThan NumericLessThanEquals NumericGreaterThan NumericGreaterThanEquals DateEquals \
    DateNotEquals DateLessThan DateLessThanEquals DateGreaterThan DateGreaterThanEquals Bool BinaryEquals IpAddress NotIpAddress \
    ArnEquals ArnLike ArnNotEquals ArnNotLike Null";
const PARTITIONS: [&str; 8] = [
    "aws",
    "aws-cn",
    "aws-us-gov",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-e",
    "aws-eusc",
    "*",
];
/// The beginnings of the paths of resources of IAM.
const IAM_PATHS: [&str; 13] = [
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
];

pub fn malformed(message: impl Into<String>) -> AwsError {
    AwsError::new("MalformedPolicyDocument", message)
}

/// Returns the size that counts for quotas: characters without white space between the tokens.
pub fn size(document: &Value) -> usize {
    match document {
        Value::String(text) => text.chars().filter(|c| !c.is_whitespace()).count(),
        document => document.to_string().chars().count(),
    }
}

/// Checks a document. Only managed policies must state their version.
///
/// # Errors
/// `MalformedPolicyDocument` with the first violation, or `LimitExceeded`.
pub fn check(document: &Value, is_managed: bool) -> Result<(), AwsError> {
    let statements = syntax(document).ok_or_else(|| malformed("Syntax errors in policy."))?;
    if is_managed && document["Version"] != "2012-10-17" {
        return Err(malformed("Policy document must be version 2012-10-17 or greater."));
    }
    if is_managed && size(document) > MAX_SIZE {
        let message = format!("Cannot exceed quota for PolicySize: {MAX_SIZE}");
        return Err(AwsError::new("LimitExceeded", message).with_status(409));
    }
    if !statements.iter().all(|statement| legacy(statement)) {
        return Err(malformed(LEGACY));
    }
    let ids: Vec<&str> = statements
        .iter()
        .filter_map(|statement| statement.get("Sid")?.as_str())
        .filter(|id| !id.is_empty())
        .collect();
    if ids.iter().enumerate().any(|(at, id)| ids[..at].contains(id)) {
        return Err(malformed("Statement IDs (SID) in a single policy must be unique."));
    }
    if statements.iter().any(|one| texts(one, "Action").is_empty()) {
        return Err(malformed("Policy statement must contain actions."));
    }
    for resource in statements.iter().flat_map(|one| texts(one, "Resource")) {
        check_resource(resource)?;
    }
    for action in statements.iter().flat_map(|one| texts(one, "Action")) {
        check_action(action)?;
    }
    if statements.iter().any(|one| texts(one, "Resource").is_empty()) {
        return Err(malformed("Policy statement must contain resources."));
    }
    Ok(())
}

/// Returns the statements, or `None` if an element is unknown, missing or of another type.
fn syntax(document: &Value) -> Option<Vec<&Map<String, Value>>> {
    let document = document.as_object()?;
    let known = ["Version", "Id", "Statement"];
    let version = document.get("Version");
    let is_valid = document.keys().all(|key| known.contains(&key.as_str()))
        && version.is_none_or(|version| *version == "2012-10-17" || *version == "2008-10-17")
        && document.get("Id").is_none_or(Value::is_string);
    let statements = match document.get("Statement")? {
        Value::Array(list) if !list.is_empty() => list.iter().map(Value::as_object).collect::<Option<Vec<_>>>()?,
        Value::Object(one) => vec![one],
        _ => return None,
    };
    (is_valid && statements.iter().all(|one| statement_syntax(one))).then_some(statements)
}

fn statement_syntax(statement: &Map<String, Value>) -> bool {
    statement.contains_key("Effect")
        && !(statement.contains_key("Action") && statement.contains_key("NotAction"))
        && !(statement.contains_key("Resource") && statement.contains_key("NotResource"))
        && statement.iter().all(|(element, value)| match element.as_str() {
            "Sid" => value.is_string(),
            "Effect" => value
                .as_str()
                .is_some_and(|effect| effect.eq_ignore_ascii_case("Allow") || effect.eq_ignore_ascii_case("Deny")),
            "Action" | "NotAction" | "Resource" | "NotResource" => match value {
                Value::Array(list) => list.iter().all(|one| one.is_string() || one.is_null()),
                value => value.is_string(),
            },
            "Condition" => value
                .as_object()
                .is_some_and(|blocks| blocks.iter().all(|(operator, keys)| condition(operator, keys))),
            _ => false,
        })
}

/// Checks one operator of a condition with its keys. An unknown operator without keys is accepted.
fn condition(operator: &str, keys: &Value) -> bool {
    let Some(keys) = keys.as_object() else {
        return false;
    };
    let stem = operator
        .strip_prefix("ForAllValues:")
        .or(operator.strip_prefix("ForAnyValue:"))
        .unwrap_or(operator);
    let stem = stem.strip_suffix("IfExists").unwrap_or(stem);
    let is_known = OPERATORS.split_whitespace().any(|known| known == stem);
    let is_value = |value: &Value| value.is_string() || value.is_boolean() || value.is_number();
    (keys.is_empty() || is_known)
        && keys.values().all(|values| match values {
            Value::Array(list) => list.iter().all(is_value),
            one => is_value(one),
        })
}

/// Returns false for what AWS's first parser rejects: effects in another case, dates that are none, and ARNs that break off.
fn legacy(statement: &Map<String, Value>) -> bool {
    let dates = statement.get("Condition").and_then(Value::as_object);
    let dates = dates
        .into_iter()
        .flatten()
        .filter(|(operator, _)| operator.contains("Date"));
    let values = dates.filter_map(|(_, keys)| keys.as_object()).flat_map(Map::values);
    let mut values = values.flat_map(|value| match value {
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    });
    matches!(statement["Effect"].as_str(), Some("Allow" | "Deny"))
        && values.all(|value| value.as_str().is_none_or(policy_date::is_valid))
        && texts(statement, "Resource").into_iter().all(|resource| {
            let parts: Vec<&str> = resource.split(':').collect();
            let is_partial = parts.len() > 3 && (parts.len() < 6 || parts[2].is_empty());
            parts.get(1).is_none_or(|partition| !PARTITIONS.contains(partition)) || !is_partial
        })
}

fn check_resource(resource: &str) -> Result<(), AwsError> {
    if resource == "*" {
        return Ok(());
    }
    let mut parts: Vec<&str> = resource.split(':').collect();
    if parts.len() < 2 {
        return Err(malformed(format!(
            "Resource {resource} must be in ARN format or \"*\"."
        )));
    }
    if !PARTITIONS.contains(&parts[1]) {
        let partition = parts[1];
        parts[0] = "arn";
        parts.resize(parts.len().max(6), "*");
        let arn = parts.join(":");
        return Err(malformed(format!(
            "Partition \"{partition}\" is not valid for resource \"{arn}\"."
        )));
    }
    let vendor = parts.get(2).copied().unwrap_or_default();
    if vendor.is_empty() || vendor.contains(['*', '?']) {
        return Err(malformed(
            "Resource vendor must be fully qualified and cannot contain regexes.",
        ));
    }
    let region = parts.get(3).copied().unwrap_or_default();
    let path = parts.get(5).copied().unwrap_or("*");
    match vendor {
        "iam" if !matches!(region, "" | "*") => Err(malformed(format!(
            "IAM resource {resource} cannot contain region information."
        ))),
        "iam" if path != "*" && !IAM_PATHS.iter().any(|known| path.starts_with(known)) => Err(malformed(format!(
            "IAM resource path must either be \"*\" or start with {}.",
            IAM_PATHS.join(", ")
        ))),
        // Access points are resources of a region.
        "s3" if !matches!(region, "" | "*") && !path.starts_with("accesspoint") => Err(malformed(format!(
            "Resource {resource} can not contain region information."
        ))),
        _ => Ok(()),
    }
}

fn check_action(action: &str) -> Result<(), AwsError> {
    if action == "*" {
        return Ok(());
    }
    let Some((vendor, name)) = action.split_once(':') else {
        return Err(malformed(
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ));
    };
    if name.contains(':') {
        return Err(malformed("Actions/Condition can contain only one colon."));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-.*".contains(c);
    if vendor.is_empty() || !vendor.chars().all(allowed) {
        return Err(malformed(format!("Vendor {vendor} is not valid")));
    }
    Ok(())
}

/// Returns the texts of an element, or of its negation such as `NotAction`.
fn texts<'a>(statement: &'a Map<String, Value>, element: &str) -> Vec<&'a str> {
    let value = statement.get(element).or(statement.get(&format!("Not{element}")));
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(text)) => vec![text],
        _ => Vec::new(),
    }
}
