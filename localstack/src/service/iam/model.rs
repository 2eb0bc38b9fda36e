//! Records of IAM: roles and policies.

use serde_json::Value;

use super::managed;
use crate::records::{Record, Records, texts};
use crate::{AwsError, Context};

pub const ROLES: Records = Records("iam.roles");
pub const POLICIES: Records = Records("iam.policies");
pub const INSTANCE_PROFILES: Records = Records("iam.instance-profiles");
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

/// Returns the policy resources that name the role.
pub fn attached_to(cx: &Context, role: &str) -> Result<Vec<Record>, AwsError> {
    let mut policies = POLICIES.list(cx)?;
    policies.extend(MANAGED_POLICIES.list(cx)?);
    policies.retain(|policy| texts(policy.properties.get("Roles")).iter().any(|name| name == role));
    Ok(policies)
}

/// Returns the documents of all policies of a role; of the policies that AWS manages, a few are known here.
pub fn documents(cx: &Context, role: &Record) -> Result<Vec<Value>, AwsError> {
    let inline = role.properties.get("Policies").and_then(Value::as_array);
    let mut found: Vec<Value> = inline
        .into_iter()
        .flatten()
        .map(|policy| policy["PolicyDocument"].clone())
        .collect();
    let document = |policy: &Record| policy.properties.get("PolicyDocument").cloned();
    found.extend(attached_to(cx, &role.id)?.iter().filter_map(document));
    for arn in texts(role.properties.get("ManagedPolicyArns")) {
        found.extend(managed_document(cx, &arn)?);
    }
    Ok(found)
}

/// Returns the document of a managed policy, if the policy is known here.
pub fn managed_document(cx: &Context, arn: &str) -> Result<Option<Value>, AwsError> {
    if let Some(document) = managed::document(arn) {
        return Ok(Some(document));
    }
    let policy = MANAGED_POLICIES.get(cx, arn)?;
    Ok(policy.and_then(|policy| policy.properties.get("PolicyDocument").cloned()))
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
