//! `CreateKey`, and the operations that change one property of a key.

use serde_json::{Value, json};

use super::key::{Key, metadata, usable};
use super::model::find_key;
use crate::records::RecordType;
use crate::service::Call;
use crate::service::input::{only, properties};
use crate::{AwsError, Context};

pub async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    const MEMBERS: [&str; 9] = [
        "Policy",
        "Description",
        "KeyUsage",
        "CustomerMasterKeySpec",
        "KeySpec",
        "Origin",
        "Tags",
        "MultiRegion",
        "BypassPolicyLockoutSafetyCheck",
    ];
    only(call, "UnsupportedOperationException", &MEMBERS)?;
    let names = [
        ("Policy", "KeyPolicy"),
        ("Description", "Description"),
        ("KeyUsage", "KeyUsage"),
        ("CustomerMasterKeySpec", "KeySpec"),
        ("KeySpec", "KeySpec"),
        ("Origin", "Origin"),
        ("MultiRegion", "MultiRegion"),
    ];
    let mut desired = properties(&call.input, &names);
    if let Some(policy) = call.text("Policy") {
        desired.insert("KeyPolicy".into(), parsed_policy(&policy)?);
    }
    let tags = call.list("Tags");
    let tags = tags
        .iter()
        .map(|tag| json!({"Key": tag["TagKey"], "Value": tag["TagValue"]}));
    desired.insert("Tags".into(), tags.collect());
    let created = cx.create_resource(Key::TYPE, Value::Object(desired)).await?;
    Ok(json!({"KeyMetadata": metadata(cx, &find_key(cx, &created.physical_id)?)}))
}

/// Changes one property of a key.
pub async fn change(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    // "Specify the key ID or key ARN of the KMS key": these operations take no alias.
    if let Some(alias) = call.text("KeyId").filter(|id| id.contains("alias/")) {
        return Err(AwsError::new("NotFoundException", format!("Invalid keyId {alias}")));
    }
    let key = usable(cx, call)?;
    let (property, value): (&str, Value) = match call.operation.as_str() {
        "EnableKey" | "DisableKey" => ("Enabled", (call.operation == "EnableKey").into()),
        "UpdateKeyDescription" => ("Description", call.required("Description")?.into()),
        "PutKeyPolicy" => ("KeyPolicy", parsed_policy(&call.required("Policy")?)?),
        _ => ("EnableKeyRotation", (call.operation == "EnableKeyRotation").into()),
    };
    let period = call.integer("RotationPeriodInDays");
    cx.update_resource(Key::TYPE, &key.id, |properties| {
        properties.insert(property.into(), value);
        if let Some(days) = period {
            properties.insert("RotationPeriodInDays".into(), days.into());
        }
        Ok(())
    })
    .await?;
    Ok(json!({}))
}

fn parsed_policy(text: &str) -> Result<Value, AwsError> {
    let document = serde_json::from_str::<Value>(text).ok();
    let document = document.filter(|document| document.get("Statement").is_some());
    document.ok_or_else(|| AwsError::new("MalformedPolicyDocumentException", "The policy has no statements."))
}
