//! `AWS::IAM::Role` and the operations on roles.

use serde_json::{Map, Value, json};

use super::attached::attached_to;
use super::document;
use super::entity::Entity;
use super::model::{
    self, INSTANCE_PROFILES, ROLES, already_exists, check_path, conflict, generate_id, listed, not_found, path,
    role_arn, tags_shown,
};
use crate::records::{Record, RecordType, Records, iso, texts};
use crate::service::Call;
use crate::service::input::{only, properties};
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
        match attached_to(cx, Entity::Role, &record.id)?.first() {
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
    let mut shown = description(cx, &model::role(cx, &name)?);
    // Use is not recorded here; AWS shows an empty structure until a role was used.
    shown["RoleLastUsed"] = json!({});
    Ok(json!({"Role": shown}))
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let prefix = call.text("PathPrefix").unwrap_or_default();
    let roles = ROLES.list(cx)?;
    let of_path = roles.iter().filter(|role| path(role).starts_with(&prefix));
    // `ListRoles` shows no tags and no boundary (API reference).
    let shown = of_path.map(|role| {
        let mut shown = description(cx, role);
        if let Some(shown) = shown.as_object_mut() {
            shown.retain(|member, _| member != "Tags" && member != "PermissionsBoundary");
        }
        shown
    });
    listed(call, "Roles", shown.collect())
}

/// `CreateRole`.
pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    const MEMBERS: [&str; 7] = [
        "Path",
        "RoleName",
        "AssumeRolePolicyDocument",
        "Description",
        "MaxSessionDuration",
        "PermissionsBoundary",
        "Tags",
    ];
    only(call, "ValidationError", &MEMBERS)?;
    let names = MEMBERS.map(|member| (member, member));
    model::check_tags(&call.input["Tags"])?;
    let mut desired = properties(&call.input, &names);
    desired.insert("RoleName".into(), call.required("RoleName")?.into());
    desired.insert(
        "AssumeRolePolicyDocument".into(),
        document::trust(&call.required("AssumeRolePolicyDocument")?)?,
    );
    let created = cx.create_resource(Role::TYPE, Value::Object(desired)).await?;
    Ok(json!({"Role": description(cx, &model::role(cx, &created.physical_id)?)}))
}

/// `UpdateRole`, `UpdateRoleDescription`, `UpdateAssumeRolePolicy`, `PutRolePermissionsBoundary` and
/// `DeleteRolePermissionsBoundary`.
pub async fn update(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("RoleName")?;
    let mut changed = properties(
        &call.input,
        &["Description", "MaxSessionDuration", "PermissionsBoundary"].map(|member| (member, member)),
    );
    if call.operation == "UpdateAssumeRolePolicy" {
        let document = document::trust(&call.required("PolicyDocument")?)?;
        changed.insert("AssumeRolePolicyDocument".into(), document);
    }
    let set = |properties: &mut Map<String, Value>| {
        if call.operation == "DeleteRolePermissionsBoundary" {
            properties.shift_remove("PermissionsBoundary");
        }
        properties.extend(changed);
        Ok(())
    };
    let updated = cx.update_resource(Role::TYPE, &name, set).await?;
    updated.ok_or_else(|| not_found("role", &name))?;
    if call.operation == "UpdateRoleDescription" {
        return Ok(json!({"Role": description(cx, &model::role(cx, &name)?)}));
    }
    Ok(json!({}))
}

/// `DeleteRole`, which refuses a role with policies or instance profiles.
pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("RoleName")?;
    let role = model::role(cx, &name)?;
    let has = |property: &str| {
        !role
            .properties
            .get(property)
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty)
    };
    if has("Policies") {
        return Err(conflict("Cannot delete entity, must delete policies first."));
    }
    if has("ManagedPolicyArns") {
        return Err(conflict("Cannot delete entity, must detach all policies first."));
    }
    if INSTANCE_PROFILES
        .find(cx, |profile| texts(profile.properties.get("Roles")).contains(&name))?
        .is_some()
    {
        return Err(conflict(
            "Cannot delete entity, must remove roles from instance profile first.",
        ));
    }
    cx.delete_resource(Role::TYPE, &name).await?;
    Ok(json!({}))
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
    let duration = record
        .text("MaxSessionDuration")
        .map(|text| text.parse::<i64>().unwrap_or_default());
    if duration.is_some_and(|seconds| !(3600..=43_200).contains(&seconds)) {
        return Err(AwsError::validation("MaxSessionDuration must be 3600 to 43200."));
    }
    check_path(record)?;
    document::check_trust(record.properties.get("AssumeRolePolicyDocument"))?;
    for policy in record
        .properties
        .get("Policies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        document::check_policy(policy.get("PolicyDocument"), false)?;
    }
    Ok(())
}

pub fn description(cx: &Context, role: &Record) -> Value {
    let max_duration = role
        .text("MaxSessionDuration")
        .and_then(|seconds| seconds.parse::<i64>().ok())
        .unwrap_or(3600);
    let boundary = role.text("PermissionsBoundary");
    json!({
        "PermissionsBoundary": boundary.map(|arn| json!({
            "PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn,
        })),
        "RoleName": role.id, "RoleId": role.computed("RoleId"), "Arn": role_arn(cx, role), "Path": path(role),
        "CreateDate": iso(role.created), "Description": role.text("Description"),
        "AssumeRolePolicyDocument": document::encoded(role.properties.get("AssumeRolePolicyDocument")),
        "MaxSessionDuration": max_duration, "Tags": tags_shown(role),
    })
}
