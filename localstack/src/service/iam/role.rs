//! `AWS::IAM::Role` and the operations on roles.

use serde_json::{Value, json};

use super::document;
use super::model::{self, ROLES, already_exists, generate_id, path, role_arn};
use crate::records::{Record, RecordType, Records, iso};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, Schema};

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
        record.id = new_name(cx, name)?;
        record.properties.insert("RoleName".into(), record.id.clone().into());
        record.computed.insert("RoleId".into(), generate_id("AROA").into());
        check(&record)?;
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("Arn", role_arn(cx, record))
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
        match model::attached_to(cx, &record.id)?.first() {
            Some(policy) => Err(AwsError::new(
                "DeleteConflict",
                format!("Cannot delete entity, must detach all policies first: {}", policy.id),
            )),
            None => Ok(()),
        }
    }
}

pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("RoleName")?;
    Ok(json!({"Role": description(cx, &model::role(cx, &name)?)}))
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

/// Checks that the name is valid and free.
fn new_name(cx: &Context, name: String) -> Result<String, AwsError> {
    if name.len() > 64 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c)) {
        return Err(AwsError::validation(format!(
            "The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the \
             following: +=,.@_- and have at most 64 of them: {name}"
        )));
    }
    match ROLES.get(cx, &name)? {
        Some(_) => Err(already_exists("Role", &name)),
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

pub fn description(cx: &Context, role: &Record) -> Value {
    let max_duration = role
        .text("MaxSessionDuration")
        .and_then(|seconds| seconds.parse::<i64>().ok())
        .unwrap_or(3600);
    json!({
        "RoleName": role.id, "RoleId": role.computed("RoleId"), "Arn": role_arn(cx, role), "Path": path(role),
        "CreateDate": iso(role.created), "Description": role.text("Description").unwrap_or_default(),
        "AssumeRolePolicyDocument": document::encoded(role.properties.get("AssumeRolePolicyDocument")),
        "MaxSessionDuration": max_duration, "Tags": role.tag_list(),
    })
}
