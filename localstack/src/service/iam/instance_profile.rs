//! `AWS::IAM::InstanceProfile` and the operations on instance profiles.

use serde_json::{Map, Value, json};

use super::model::{
    self, INSTANCE_PROFILES, already_exists, check_path, conflict, generate_id, listed, not_found, profile_not_found,
};
use super::role;
use crate::records::{Record, RecordType, Records, iso, texts};
use crate::service::Call;
use crate::service::input::only;
use crate::{AwsError, Context, Desired, Resource, Schema};

pub struct InstanceProfile;

impl RecordType for InstanceProfile {
    const TYPE: &'static str = "AWS::IAM::InstanceProfile";
    const RECORDS: Records = INSTANCE_PROFILES;

    fn schema() -> Schema {
        Schema {
            properties: &["InstanceProfileName", "Path", "Roles", "Tags"],
            // `Tags` are those of the API; the type has none on AWS.
            create_only: &["InstanceProfileName", "Path"],
            required: &["Roles"],
            attributes: &["Arn"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        let name = record.text("InstanceProfileName");
        record.id = name.unwrap_or_else(|| desired.generated_name(128));
        if INSTANCE_PROFILES.get(cx, &record.id)?.is_some() {
            return Err(already_exists("Instance Profile", &record.id));
        }
        record.computed.insert("Id".into(), generate_id("AIPA").into());
        check(cx, &record)?;
        Ok(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id).with("Arn", arn(cx, record))
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check(cx, record)
    }
}

fn check(cx: &Context, record: &Record) -> Result<(), AwsError> {
    check_path(record)?;
    let roles = texts(record.properties.get("Roles"));
    if roles.len() > 1 {
        let message = "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1";
        return Err(AwsError::new("LimitExceeded", message).with_status(409));
    }
    roles.iter().try_for_each(|name| model::role(cx, name).map(drop))
}

fn arn(cx: &Context, record: &Record) -> String {
    let path = model::path(record);
    format!("arn:aws:iam::{}:instance-profile{path}{}", cx.account(), record.id)
}

/// Answers the operations on instance profiles.
pub async fn call(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let prefix = call.text("PathPrefix").unwrap_or_default();
    match call.operation.as_str() {
        "ListInstanceProfiles" => return list(cx, call, |profile| model::path(profile).starts_with(&prefix)),
        "ListInstanceProfilesForRole" => {
            let role = model::role(cx, &call.required("RoleName")?)?.id;
            return list(cx, call, |profile| {
                texts(profile.properties.get("Roles")).contains(&role)
            });
        }
        _ => {}
    }
    let name = call.required("InstanceProfileName")?;
    let missing = || profile_not_found(&name);
    let shown = || {
        let profile = INSTANCE_PROFILES.get(cx, &name)?.ok_or_else(missing)?;
        Ok(json!({"InstanceProfile": description(cx, &profile)?}))
    };
    match call.operation.as_str() {
        "CreateInstanceProfile" => {
            only(call, "ValidationError", &["InstanceProfileName", "Path", "Tags"])?;
            let path = call.text("Path").unwrap_or_else(|| "/".into());
            let desired = json!({"InstanceProfileName": name, "Path": path, "Roles": [], "Tags": call.list("Tags")});
            cx.create_resource(InstanceProfile::TYPE, desired).await?;
            shown()
        }
        "GetInstanceProfile" => shown(),
        "DeleteInstanceProfile" => {
            let profile = INSTANCE_PROFILES.get(cx, &name)?.ok_or_else(missing)?;
            if !texts(profile.properties.get("Roles")).is_empty() {
                return Err(conflict(
                    "Cannot delete entity, must remove roles from instance profile first.",
                ));
            }
            cx.delete_resource(InstanceProfile::TYPE, &name).await?;
            Ok(json!({}))
        }
        _ => {
            let role = call.required("RoleName")?;
            let adds = call.operation == "AddRoleToInstanceProfile";
            let edit = |properties: &mut Map<String, Value>| {
                let mut roles = texts(properties.get("Roles"));
                if adds {
                    roles.push(role.clone());
                } else if !roles.contains(&role) {
                    return Err(not_found("role", &role));
                } else {
                    roles.retain(|one| *one != role);
                }
                properties.insert("Roles".into(), roles.into());
                Ok(())
            };
            let changed = cx.update_resource(InstanceProfile::TYPE, &name, edit).await?;
            changed.ok_or_else(missing).map(|_| json!({}))
        }
    }
}

/// Returns the profiles of a role.
pub fn of_role(cx: &Context, role: &str) -> Result<Vec<Value>, AwsError> {
    let profiles = INSTANCE_PROFILES.list(cx)?;
    let of_role = profiles
        .iter()
        .filter(|profile| texts(profile.properties.get("Roles")).iter().any(|one| one == role));
    of_role.map(|profile| description(cx, profile)).collect()
}

fn list(cx: &Context, call: &Call, matches: impl Fn(&Record) -> bool) -> Result<Value, AwsError> {
    let found = INSTANCE_PROFILES.list(cx)?;
    let shown = found.iter().filter(|profile| matches(profile));
    let shown = shown
        .map(|profile| description(cx, profile))
        .collect::<Result<Vec<_>, _>>()?;
    listed(call, "InstanceProfiles", shown)
}

fn description(cx: &Context, profile: &Record) -> Result<Value, AwsError> {
    let mut roles = Vec::new();
    for name in texts(profile.properties.get("Roles")) {
        roles.push(role::description(cx, &model::role(cx, &name)?));
    }
    Ok(json!({
        "InstanceProfileName": profile.id, "InstanceProfileId": profile.computed("Id"), "Arn": arn(cx, profile),
        "Path": model::path(profile), "CreateDate": iso(profile.created), "Roles": roles, "Tags": profile.tag_list(),
    }))
}
