//! The operations on users. The caller is always the root user of the account.

use serde_json::{Map, Value, json};

use super::entity::Entity;
use super::model::{
    ACCESS_KEYS, GROUPS, MANAGED_POLICIES, POLICIES, USERS, check_tags, conflict, listed, not_found, path,
};
use super::principal::{User, arn, check_name};
use crate::records::{Record, RecordType, Records, WriteLock, iso, texts};
use crate::service::Call;
use crate::service::input::{only, properties};
use crate::{AwsError, Context};

pub async fn call(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    match call.operation.as_str() {
        "CreateUser" => create(cx, call).await,
        "GetUser" if call.text("UserName").is_none() => Ok(json!({"User": {
            "UserId": cx.account(), "CreateDate": iso(0), "Arn": format!("arn:aws:iam::{}:root", cx.account()),
        }})),
        "GetUser" => Ok(json!({"User": description(cx, &Entity::User.find(cx, &call.required("UserName")?)?)})),
        "ListUsers" => {
            let prefix = call.text("PathPrefix").unwrap_or_default();
            let users = USERS.list(cx)?;
            let shown = users.iter().filter(|user| path(user).starts_with(&prefix));
            listed(call, "Users", shown.map(|user| without_tags(cx, user)).collect())
        }
        "UpdateUser" => rename(cx, call, Entity::User),
        "DeleteUser" => delete(cx, &call.required("UserName")?).await,
        _ => set_boundary(cx, call).await,
    }
}

async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    const MEMBERS: [&str; 4] = ["UserName", "Path", "PermissionsBoundary", "Tags"];
    only(call, "ValidationError", &MEMBERS)?;
    check_tags(&call.input["Tags"])?;
    let mut desired = properties(&call.input, &MEMBERS.map(|member| (member, member)));
    desired.insert("UserName".into(), call.required("UserName")?.into());
    let created = cx.create_resource(User::TYPE, Value::Object(desired)).await?;
    Ok(json!({"User": description(cx, &Entity::User.find(cx, &created.physical_id)?)}))
}

/// `DeleteUser`, which refuses a user that has something.
async fn delete(cx: &Context, name: &str) -> Result<Value, AwsError> {
    let user = Entity::User.find(cx, name)?;
    if !texts(user.properties.get("Groups")).is_empty() {
        return Err(conflict("Cannot delete entity, must remove users from group first."));
    }
    check_without_policies(cx, Entity::User, &user)?;
    cx.delete_resource(User::TYPE, name).await?;
    Ok(json!({}))
}

/// `PutUserPermissionsBoundary` and `DeleteUserPermissionsBoundary`.
async fn set_boundary(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("UserName")?;
    let boundary = match call.operation.as_str() {
        "PutUserPermissionsBoundary" => Some(call.required("PermissionsBoundary")?),
        _ => None,
    };
    let set = |properties: &mut Map<String, Value>| {
        match boundary {
            Some(arn) => properties.insert("PermissionsBoundary".into(), arn.into()),
            None => properties.shift_remove("PermissionsBoundary"),
        };
        Ok(())
    };
    let updated = cx.update_resource(User::TYPE, &name, set).await?;
    updated.ok_or_else(|| not_found("user", &name)).map(|_| json!({}))
}

/// Refuses to delete an entity that has policies.
pub fn check_without_policies(cx: &Context, entity: Entity, holder: &Record) -> Result<(), AwsError> {
    if !super::entity_policies::inline(cx, entity, holder)?.is_empty() {
        return Err(conflict("Cannot delete entity, must delete policies first."));
    }
    if !super::entity_policies::attached(cx, entity, holder)?.is_empty() {
        return Err(conflict("Cannot delete entity, must detach all policies first."));
    }
    Ok(())
}

/// `UpdateUser` and `UpdateGroup`: gives another name or path. What names the entity follows in the same transaction.
pub fn rename(cx: &Context, call: &Call, entity: Entity) -> Result<Value, AwsError> {
    let new_name = format!("New{}", entity.member());
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut record = entity.find(cx, &call.required(entity.member())?)?;
    if let Some(path) = call.text("NewPath") {
        record.properties.insert("Path".into(), path.into());
        super::model::check_path(&record)?;
    }
    let Some(name) = call.text(&new_name).filter(|name| *name != record.id) else {
        entity.records().put(cx, &record)?;
        return Ok(json!({}));
    };
    if !name.eq_ignore_ascii_case(&record.id) {
        check_name(cx, entity.records(), entity.name(), &new_name, &name)?;
    }
    let former = std::mem::replace(&mut record.id, name.clone());
    record.properties.insert(entity.member().into(), name.clone().into());
    cx.store().transaction(|| {
        entity.records().delete(cx, &former)?;
        entity.records().put(cx, &record)?;
        for policies in [POLICIES, MANAGED_POLICIES] {
            replace(cx, policies, entity.property(), &former, &name)?;
        }
        match entity {
            Entity::User => replace(cx, ACCESS_KEYS, "UserName", &former, &name)?,
            Entity::Group => replace(cx, USERS, "Groups", &former, &name)?,
            Entity::Role => {}
        }
        Ok::<_, AwsError>(json!({}))
    })
}

/// Replaces a name in a property, a text or a list, of all records.
fn replace(cx: &Context, records: Records, property: &str, former: &str, name: &str) -> Result<(), AwsError> {
    for mut record in records.list(cx)? {
        let Some(value) = record.properties.get_mut(property) else {
            continue;
        };
        let places = match value {
            Value::Array(list) => list.iter_mut().collect(),
            one => vec![one],
        };
        let mut has_changed = false;
        for place in places.into_iter().filter(|place| **place == *former) {
            *place = name.into();
            has_changed = true;
        }
        if has_changed {
            records.put(cx, &record)?;
        }
    }
    Ok(())
}

/// Returns the groups of a user.
pub fn groups(cx: &Context, user: &Record) -> Result<Vec<Record>, AwsError> {
    let names = texts(user.properties.get("Groups")).into_iter();
    let groups = names.filter_map(|name| GROUPS.get(cx, &name).transpose());
    groups.collect()
}

pub fn description(cx: &Context, user: &Record) -> Value {
    let mut shown = without_tags(cx, user);
    if !user.tags.is_empty() {
        shown["Tags"] = user.tag_list();
    }
    if let Some(arn) = user.text("PermissionsBoundary") {
        shown["PermissionsBoundary"] = json!({"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn});
    }
    shown
}

/// Returns the form in lists, which have neither tags nor boundaries (`ListUsers`).
pub fn without_tags(cx: &Context, user: &Record) -> Value {
    json!({
        "Path": path(user), "UserName": user.id, "UserId": user.computed("Id"), "Arn": arn(cx, "user", user),
        "CreateDate": iso(user.created),
    })
}
