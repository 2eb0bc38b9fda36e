//! Records of IAM: roles and policies.

use serde_json::{Value, json};

use crate::records::{Record, Records, page};
use crate::service::Call;
use crate::{AwsError, Context};

pub const ROLES: Records = Records("iam.roles");
pub const POLICIES: Records = Records("iam.policies");
pub const INSTANCE_PROFILES: Records = Records("iam.instance-profiles");
pub const ACCESS_KEYS: Records = Records("iam.access-keys");
pub const USERS: Records = Records("iam.users");
pub const GROUPS: Records = Records("iam.groups");
pub const MANAGED_POLICIES: Records = Records("iam.managed-policies");

pub fn role(cx: &Context, name: &str) -> Result<Record, AwsError> {
    ROLES.get(cx, name)?.ok_or_else(|| not_found("role", name))
}

/// Returns the role with this ARN, or `None` if it was deleted or recreated with another path.
///
/// # Errors
/// Returns an error if the state cannot be read.
pub fn with_arn(cx: &Context, arn: &str) -> Result<Option<Record>, AwsError> {
    let name = arn.rsplit('/').next().unwrap_or_default();
    Ok(ROLES.get(cx, name)?.filter(|role| role_arn(cx, role) == arn))
}

pub fn role_arn(cx: &Context, role: &Record) -> String {
    format!("arn:aws:iam::{}:role{}{}", cx.account(), path(role), role.id)
}

pub fn path(role: &Record) -> String {
    role.text("Path")
        .or(role.computed("Path"))
        .unwrap_or_else(|| "/".into())
}

/// Returns one page of a list in the form of IAM: `MaxItems` items after the `Marker`.
pub fn listed(call: &Call, member: &str, items: Vec<Value>) -> Result<Value, AwsError> {
    let invalid = |_| AwsError::validation("Invalid Marker.");
    let limit = call.limit("MaxItems", 100, 1..=1000);
    let (shown, next) = page(items, limit, call.text("Marker").as_deref()).map_err(invalid)?;
    let mut response = json!({member: shown, "IsTruncated": next.is_some()});
    if let Some(marker) = next {
        response["Marker"] = marker.into();
    }
    Ok(response)
}

/// Returns the tags of a record; nothing where it has none, as AWS does.
pub fn tags_shown(record: &Record) -> Value {
    if record.tags.is_empty() {
        Value::Null
    } else {
        record.tag_list()
    }
}

/// Returns a refusal to delete what has something that must be deleted before.
pub fn conflict(message: &str) -> AwsError {
    AwsError::new("DeleteConflict", message).with_status(409)
}

/// Checks a path (IAM identifiers, "Friendly names and paths").
pub fn check_path(record: &Record) -> Result<(), AwsError> {
    let path = path(record);
    let allowed = path.chars().all(|c| ('!'..='~').contains(&c));
    if path.starts_with('/') && path.ends_with('/') && path.len() <= 512 && allowed {
        return Ok(());
    }
    Err(AwsError::validation(
        "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.",
    ))
}

/// Generates the ID of a temporary access key.
pub fn key_id() -> String {
    let mut id = generate_id("ASIA");
    id.truncate(20);
    id
}

/// Generates an ID as IAM does: a prefix of four characters and 17 random ones.
pub fn generate_id(prefix: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let random: String = (0..17)
        .map(|_| ALPHABET[rand::random_range(0..ALPHABET.len())] as char)
        .collect();
    prefix.to_owned() + &random
}

/// Returns the error for a managed policy that does not exist.
pub fn policy_not_found(arn: &str) -> AwsError {
    AwsError::new("NoSuchEntity", format!("Policy {arn} was not found.")).with_status(404)
}

/// Returns the error for an instance profile that does not exist.
pub fn profile_not_found(name: &str) -> AwsError {
    AwsError::new("NoSuchEntity", format!("Instance Profile {name} cannot be found.")).with_status(404)
}

pub fn not_found(what: &str, name: &str) -> AwsError {
    AwsError::new("NoSuchEntity", format!("The {what} with name {name} cannot be found.")).with_status(404)
}

pub fn already_exists(what: &str, name: &str) -> AwsError {
    AwsError::new(
        "EntityAlreadyExists",
        format!("{what} with name {name} already exists."),
    )
    .with_status(409)
}

/// Checks the keys of tags, of which two may not differ in case only (recorded on AWS in LocalStack's test of role tags).
pub fn check_tags(tags: &Value) -> Result<(), AwsError> {
    let keys: Vec<String> = tags_of_list(tags);
    let has_duplicate = keys.iter().enumerate().any(|(at, key)| keys[..at].contains(key));
    if has_duplicate {
        let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
        return Err(AwsError::new("InvalidInput", message));
    }
    let allowed = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
    if keys.iter().any(|key| !key.chars().all(allowed)) {
        return Err(AwsError::validation(
            "1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+",
        ));
    }
    Ok(())
}

fn tags_of_list(tags: &Value) -> Vec<String> {
    let tags = tags.as_array().into_iter().flatten();
    let keys = tags.filter_map(|tag| tag["Key"].as_str());
    keys.map(str::to_lowercase).collect()
}
