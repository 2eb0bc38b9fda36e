//! `AWS::KMS::Alias` and the operations on aliases.

use serde_json::{Map, Value, json};

use super::listed;
use super::model::{ALIASES, find_key, target};
use crate::records::{Record, RecordType, Records, seconds};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Schema};

pub struct Alias;

impl RecordType for Alias {
    const TYPE: &'static str = "AWS::KMS::Alias";
    const RECORDS: Records = ALIASES;

    fn schema() -> Schema {
        Schema {
            properties: &["AliasName", "TargetKeyId"],
            required: &["AliasName", "TargetKeyId"],
            create_only: &["AliasName"],
            ..Schema::default()
        }
    }

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new("", desired);
        record.id = record.text("AliasName").unwrap_or_default();
        if !record.id.starts_with("alias/") || record.id.starts_with("alias/aws/") {
            let reason = "Alias must start with the prefix \"alias/\". Please see the documentation on alias names.";
            return Err(AwsError::new(
                "ValidationException",
                format!("{reason} It is '{}'.", record.id),
            ));
        }
        if ALIASES.get(cx, &record.id)?.is_some() {
            let reason = format!("An alias with the name {} already exists", cx.arn("kms", &record.id));
            return Err(AwsError::new("AlreadyExistsException", reason));
        }
        find_key(cx, &target(&record))?;
        Ok(record)
    }

    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        find_key(cx, &target(record)).map(drop)
    }
}

/// `ListAliases`.
pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let requested = call.text("KeyId").map(|id| find_key(cx, &id)).transpose()?;
    let all = ALIASES.list(cx)?;
    let shown = all
        .iter()
        .filter(|alias| requested.as_ref().is_none_or(|key| key.id == target(alias)))
        .map(|alias| {
            json!({
                "AliasName": alias.id, "AliasArn": cx.arn("kms", &alias.id), "TargetKeyId": target(alias),
                "CreationDate": seconds(alias.created), "LastUpdatedDate": seconds(alias.created),
            })
        })
        .collect();
    listed(call, "Aliases", shown)
}

/// `CreateAlias`, `UpdateAlias` and `DeleteAlias`.
pub async fn change(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("AliasName")?;
    let missing = || {
        let message = format!("Alias {} is not found.", cx.arn("kms", &name));
        AwsError::new("NotFoundException", message)
    };
    match call.operation.as_str() {
        "CreateAlias" => {
            let desired = json!({"AliasName": name, "TargetKeyId": call.required("TargetKeyId")?});
            cx.create_resource(Alias::TYPE, desired).await?;
        }
        "UpdateAlias" => {
            let target = call.required("TargetKeyId")?;
            let set = |properties: &mut Map<String, Value>| {
                properties.insert("TargetKeyId".into(), target.into());
                Ok(())
            };
            let changed = cx.update_resource(Alias::TYPE, &name, set).await?;
            changed.ok_or_else(missing)?;
        }
        _ => {
            if !cx.delete_resource(Alias::TYPE, &name).await? {
                return Err(missing());
            }
        }
    }
    Ok(json!({}))
}
