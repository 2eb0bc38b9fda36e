//! The operations on groups. The members of a group are in the property `Groups` of the users.

use serde_json::{Map, Value, json};

use super::entity::Entity;
use super::model::{GROUPS, USERS, conflict, listed, path};
use super::principal::{Group, User, arn};
use super::user;
use crate::records::{Record, RecordType, iso, texts};
use crate::service::Call;
use crate::service::input::only;
use crate::{AwsError, Context};

/// The number of groups that a user may be in (IAM quotas).
const MAX_GROUPS: usize = 10;

pub async fn call(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let prefix = call.text("PathPrefix").unwrap_or_default();
    match call.operation.as_str() {
        "CreateGroup" => create(cx, call).await,
        "GetGroup" => {
            let group = Entity::Group.find(cx, &call.required("GroupName")?)?;
            let users = members(cx, &group.id)?;
            let shown = users.iter().map(|user| user::without_tags(cx, user)).collect();
            let mut response = listed(call, "Users", shown)?;
            response["Group"] = description(cx, &group);
            Ok(response)
        }
        "ListGroups" => {
            let groups = GROUPS.list(cx)?;
            let shown = groups.iter().filter(|group| path(group).starts_with(&prefix));
            listed(call, "Groups", shown.map(|group| description(cx, group)).collect())
        }
        "ListGroupsForUser" => {
            let user = Entity::User.find(cx, &call.required("UserName")?)?;
            let groups = user::groups(cx, &user)?;
            let shown = groups.iter().map(|group| description(cx, group)).collect();
            listed(call, "Groups", shown)
        }
        "UpdateGroup" => user::rename(cx, call, Entity::Group),
        "DeleteGroup" => delete(cx, &call.required("GroupName")?).await,
        _ => set_member(cx, call).await,
    }
}

async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    only(call, "ValidationError", &["GroupName", "Path"])?;
    let path = call.text("Path").unwrap_or_else(|| "/".into());
    let desired = json!({"GroupName": call.required("GroupName")?, "Path": path});
    let created = cx.create_resource(Group::TYPE, desired).await?;
    Ok(json!({"Group": description(cx, &Entity::Group.find(cx, &created.physical_id)?)}))
}

/// `DeleteGroup`, which refuses a group with users or policies.
async fn delete(cx: &Context, name: &str) -> Result<Value, AwsError> {
    let group = Entity::Group.find(cx, name)?;
    if !members(cx, name)?.is_empty() {
        return Err(conflict("Cannot delete entity, must remove users from group first."));
    }
    user::check_without_policies(cx, Entity::Group, &group)?;
    cx.delete_resource(Group::TYPE, name).await?;
    Ok(json!({}))
}

/// `AddUserToGroup` and `RemoveUserFromGroup`. Adding a member again has no effect.
async fn set_member(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (user, group) = (call.required("UserName")?, call.required("GroupName")?);
    Entity::Group.find(cx, &group)?;
    Entity::User.find(cx, &user)?;
    let adds = call.operation == "AddUserToGroup";
    let edit = |properties: &mut Map<String, Value>| {
        let mut groups = texts(properties.get("Groups"));
        let is_member = groups.contains(&group);
        if adds && !is_member {
            if groups.len() >= MAX_GROUPS {
                let message = format!("Cannot exceed quota for GroupsPerUser: {MAX_GROUPS}");
                return Err(AwsError::new("LimitExceeded", message).with_status(409));
            }
            groups.push(group.clone());
        }
        if !adds && !is_member {
            let message = format!("User {user} not in group {group}");
            return Err(AwsError::new("NoSuchEntity", message).with_status(404));
        }
        groups.retain(|one| adds || *one != group);
        properties.insert("Groups".into(), groups.into());
        Ok(())
    };
    cx.update_resource(User::TYPE, &user, edit).await?;
    Ok(json!({}))
}

fn members(cx: &Context, group: &str) -> Result<Vec<Record>, AwsError> {
    let mut users = USERS.list(cx)?;
    users.retain(|user| texts(user.properties.get("Groups")).iter().any(|one| one == group));
    Ok(users)
}

pub fn description(cx: &Context, group: &Record) -> Value {
    json!({
        "Path": path(group), "GroupName": group.id, "GroupId": group.computed("Id"), "Arn": arn(cx, "group", group),
        "CreateDate": iso(group.created),
    })
}
