//! The operations on access keys. The endpoint accepts every key, so it records no use of one.

use serde_json::{Map, Value, json};

use super::entity::Entity;
use super::model::{ACCESS_KEYS, listed};
use super::principal::AccessKey;
use crate::records::{Record, RecordType, iso};
use crate::service::Call;
use crate::{AwsError, Context};

pub async fn call(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    match call.operation.as_str() {
        "CreateAccessKey" => {
            let user = user(cx, call)?;
            let created = cx.create_resource(AccessKey::TYPE, json!({"UserName": user, "Status": "Active"}));
            let created = created.await?;
            let key = ACCESS_KEYS.get(cx, &created.physical_id)?.unwrap_or_default();
            let mut shown = description(&key);
            shown["SecretAccessKey"] = created.attributes["SecretAccessKey"].clone();
            Ok(json!({"AccessKey": shown}))
        }
        // The root user has no keys here.
        "ListAccessKeys" if call.text("UserName").is_none() => listed(call, "AccessKeyMetadata", Vec::new()),
        "ListAccessKeys" => {
            let user = user(cx, call)?;
            let keys = ACCESS_KEYS.list(cx)?;
            let shown = keys.iter().filter(|key| key.has("UserName", &user)).map(description);
            listed(call, "AccessKeyMetadata", shown.collect())
        }
        "GetAccessKeyLastUsed" => {
            let key = find(cx, &call.required("AccessKeyId")?, None)?;
            // The form of a key that was never used.
            Ok(json!({
                "UserName": key.text("UserName"), "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"},
            }))
        }
        "UpdateAccessKey" => {
            let key = of_user(cx, call)?;
            let status = call.required("Status")?;
            let set = |properties: &mut Map<String, Value>| {
                properties.insert("Status".into(), status.into());
                Ok(())
            };
            cx.update_resource(AccessKey::TYPE, &key.id, set).await?;
            Ok(json!({}))
        }
        _ => {
            let key = of_user(cx, call)?;
            cx.delete_resource(AccessKey::TYPE, &key.id).await?;
            Ok(json!({}))
        }
    }
}

/// Returns the user that a call names. Without a name AWS takes the caller, which here is the root user.
fn user(cx: &Context, call: &Call) -> Result<String, AwsError> {
    let root = || AwsError::not_implemented("iam", &format!("{} for the root user", call.operation));
    Ok(Entity::User.find(cx, &call.text("UserName").ok_or_else(root)?)?.id)
}

/// Returns the key of a call, which belongs to the user that it names; the root user, the default, has none.
fn of_user(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    let user = call.text("UserName").map(|name| Entity::User.find(cx, &name));
    let user = user.transpose()?.map(|user| user.id).unwrap_or_default();
    find(cx, &call.required("AccessKeyId")?, Some(&user))
}

fn find(cx: &Context, id: &str, user: Option<&str>) -> Result<Record, AwsError> {
    let key = ACCESS_KEYS.get(cx, id)?;
    let key = key.filter(|key| user.is_none_or(|user| key.has("UserName", user)));
    key.ok_or_else(|| {
        let message = format!("The Access Key with id {id} cannot be found.");
        AwsError::new("NoSuchEntity", message).with_status(404)
    })
}

fn description(key: &Record) -> Value {
    json!({
        "UserName": key.text("UserName"), "AccessKeyId": key.id, "CreateDate": iso(key.created),
        "Status": key.text("Status").unwrap_or_else(|| "Active".into()),
    })
}
