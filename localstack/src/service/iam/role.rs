//! Roles.

use serde_json::{Value, json};

use super::{document, exists, missing, policy};
use crate::records::{Record, RecordType, Records, iso};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, Schema};

pub const ROLES: Records = Records("iam.roles");

pub struct Role;

impl RecordType for Role {
    const TYPE: &'static str = "AWS::IAM::Role";
    const RECORDS: Records = ROLES;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "RoleName",
                "AssumeRolePolicyDocument",
                "Description",
                "ManagedPolicyArns",
                "MaxSessionDuration",
                "Path",
                "PermissionsBoundary",
                "Policies",
                "Tags",
            ],
            required: &["AssumeRolePolicyDocument"],
            create_only: &["RoleName", "Path"],
            attributes: &["Arn", "RoleId"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        let name = record.text("RoleName").unwrap_or_else(|| desired.generated_name(64));
        record.id = named(cx, name)?;
        record.properties.insert("RoleName".into(), record.id.clone().into());
        record.computed.insert("RoleId".into(), id("AROA").into());
        check(&record)?;
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("Arn", arn(cx, record))
            .with("RoleId", record.computed("RoleId").unwrap_or_default())
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        record
            .properties
            .entry("RoleName")
            .or_insert_with(|| record.id.clone().into());
        check(record)
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        match policy::attached_to(cx, &record.id)?.first() {
            Some(policy) => Err(AwsError::new(
                "DeleteConflict",
                format!("Cannot delete entity, must detach all policies first: {}", policy.id),
            )),
            None => Ok(()),
        }
    }
}

pub struct ServiceLinkedRole;

impl RecordType for ServiceLinkedRole {
    const TYPE: &'static str = "AWS::IAM::ServiceLinkedRole";
    const RECORDS: Records = ROLES;

    fn schema() -> Schema {
        Schema {
            properties: &["AWSServiceName", "CustomSuffix", "Description"],
            create_only: &["AWSServiceName", "CustomSuffix"],
            attributes: &["RoleName"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        let required = || AwsError::validation("AWSServiceName is required.");
        let service = record.text("AWSServiceName").ok_or_else(required)?;
        let stem: String = service
            .split('.')
            .next()
            .unwrap_or(&service)
            .split('-')
            .map(capital)
            .collect();
        let suffix = record
            .text("CustomSuffix")
            .map(|suffix| format!("_{suffix}"))
            .unwrap_or_default();
        record.id = named(cx, format!("AWSServiceRoleFor{stem}{suffix}"))?;
        record.computed.insert("RoleId".into(), id("AROA").into());
        record
            .computed
            .insert("Path".into(), format!("/aws-service-role/{service}/").into());
        Ok(record)
    }

    fn resource(_cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("RoleName", record.id.clone())
    }
}

pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("RoleName")?;
    let role = ROLES.get(cx, &name)?.ok_or_else(|| missing("role", &name))?;
    Ok(json!({"Role": description(cx, &role)}))
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let prefix = call.text("PathPrefix").unwrap_or_default();
    let roles = ROLES.list(cx)?;
    let shown: Vec<Value> = roles
        .iter()
        .filter(|role| path(role).starts_with(&prefix))
        .map(|role| description(cx, role))
        .collect();
    Ok(json!({"Roles": shown, "IsTruncated": false}))
}

/// The role with this ARN; none when it is gone, or was made anew under another path.
pub fn with_arn(cx: &Context, wanted: &str) -> Result<Option<Record>, AwsError> {
    let name = wanted.rsplit('/').next().unwrap_or_default();
    Ok(ROLES.get(cx, name)?.filter(|role| arn(cx, role) == wanted))
}

/// The id of a temporary access key.
pub fn key_id() -> String {
    let mut id = id("ASIA");
    id.truncate(20);
    id
}

/// An id as IAM makes them: a prefix of four letters and 17 letters and digits.
pub fn id(prefix: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let rest: String = (0..17)
        .map(|_| ALPHABET[rand::random_range(0..ALPHABET.len())] as char)
        .collect();
    prefix.to_owned() + &rest
}

fn named(cx: &Context, name: String) -> Result<String, AwsError> {
    if name.len() > 64 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c)) {
        return Err(AwsError::validation(format!(
            "The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the \
             following: +=,.@_- and have at most 64 of them: {name}"
        )));
    }
    match ROLES.get(cx, &name)? {
        Some(_) => Err(exists("Role", &name)),
        None => Ok(name),
    }
}

fn check(record: &Record) -> Result<(), AwsError> {
    document::check(record.properties.get("AssumeRolePolicyDocument"), true)?;
    for policy in record
        .properties
        .get("Policies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        document::check(policy.get("PolicyDocument"), false)?;
    }
    Ok(())
}

fn path(role: &Record) -> String {
    role.text("Path")
        .or(role.computed("Path"))
        .unwrap_or_else(|| "/".into())
}

fn arn(cx: &Context, role: &Record) -> String {
    format!("arn:aws:iam::{}:role{}{}", cx.account(), path(role), role.id)
}

fn description(cx: &Context, role: &Record) -> Value {
    let longest = role
        .text("MaxSessionDuration")
        .and_then(|seconds| seconds.parse::<i64>().ok())
        .unwrap_or(3600);
    json!({
        "RoleName": role.id, "RoleId": role.computed("RoleId"), "Arn": arn(cx, role), "Path": path(role),
        "CreateDate": iso(role.created), "Description": role.text("Description").unwrap_or_default(),
        "AssumeRolePolicyDocument": document::encoded(role.properties.get("AssumeRolePolicyDocument")),
        "MaxSessionDuration": longest, "Tags": role.tag_list(),
    })
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|c| c.to_ascii_uppercase())
        .into_iter()
        .chain(letters)
        .collect()
}
