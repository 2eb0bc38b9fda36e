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
        check_name(&record.id)?;
        if record
            .text("TargetKeyId")
            .is_some_and(|target| target.contains("alias/"))
        {
            let reason = "Aliases must refer to keys. Not aliases";
            return Err(AwsError::new("ValidationException", reason));
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

/// Checks the name of an alias (KMS API Reference, `CreateAlias`).
fn check_name(name: &str) -> Result<(), AwsError> {
    let invalid = |reason: String| Err(AwsError::new("ValidationException", reason));
    let Some(rest) = name.strip_prefix("alias/") else {
        return invalid("Invalid identifier".to_owned());
    };
    if let Some(character) = rest.chars().find(|c| !c.is_ascii_alphanumeric() && !"/_-".contains(*c)) {
        if character == ':' {
            return invalid(format!("{name} contains invalid characters for an alias"));
        }
        return invalid(format!(
            "1 validation error detected: Value '{name}' at 'aliasName' failed to satisfy constraint: Member must satisfy regular \
             expression pattern: ^[a-zA-Z0-9:/_-]+$"
        ));
    }
    if rest.starts_with("aws/") {
        return Err(AwsError::new("NotAuthorizedException", ""));
    }
    Ok(())
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
            if !name.starts_with("alias/") {
                return Err(AwsError::new("ValidationException", "Invalid identifier"));
            }
            if !cx.delete_resource(Alias::TYPE, &name).await? {
                return Err(missing());
            }
        }
    }
    Ok(json!({}))
}
