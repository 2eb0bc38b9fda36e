//! `AWS::KMS::Key`: its rules, its deletion after a waiting time, and its description.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use uuid::Uuid;

use super::model::{ALIASES, DELETION_DATE, KEYS, arn, deletion_date, find_key, target};
use crate::records::{Record, RecordType, Records, WriteLock, now, seconds};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Failure, Resource, ResourceType, Schema};

/// The resource type of keys. A deleted key waits for its end, for 7 to 30 days (`AWS::KMS::Key`, `PendingWindowInDays`).
pub struct KeyType {
    pub record: Arc<dyn ResourceType>,
}

#[async_trait]
impl ResourceType for KeyType {
    fn name(&self) -> &'static str {
        self.record.name()
    }

    fn schema(&self) -> Schema {
        self.record.schema()
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        self.record.create(cx, desired).await
    }

    async fn update(&self, cx: &Context, id: &str, previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        self.record.update(cx, id, previous, desired).await
    }

    async fn delete(&self, cx: &Context, id: &str, _properties: &Value) -> Result<(), Failure> {
        match KEYS.get(cx, id)?.filter(|key| deletion_date(key).is_none()) {
            None => Ok(()),
            Some(key) => {
                let days = key.text("PendingWindowInDays").and_then(|days| days.parse().ok());
                Ok(schedule_deletion(cx, id, days.unwrap_or(30)).map(drop)?)
            }
        }
    }

    async fn read(&self, cx: &Context, id: &str) -> Result<Option<Value>, Failure> {
        match KEYS.get(cx, id)?.filter(|key| deletion_date(key).is_none()) {
            None => Ok(None),
            Some(_) => self.record.read(cx, id).await,
        }
    }
}

pub struct Key;

impl RecordType for Key {
    const TYPE: &'static str = "AWS::KMS::Key";
    const RECORDS: Records = KEYS;

    fn schema() -> Schema {
        Schema {
            properties: &[
                "Description",
                "Enabled",
                "EnableKeyRotation",
                "KeyPolicy",
                "KeySpec",
                "KeyUsage",
                "MultiRegion",
                "Origin",
                "PendingWindowInDays",
                "RotationPeriodInDays",
                "BypassPolicyLockoutSafetyCheck",
                "Tags",
            ],
            attributes: &["Arn", "KeyId"],
            write_only: &["PendingWindowInDays", "BypassPolicyLockoutSafetyCheck"],
            ..Schema::default()
        }
    }

    fn create(_cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let record = Record::new(Uuid::new_v4().to_string(), desired);
        check_key(&record)?;
        Ok(record)
    }

    fn update(_cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        check_key(record)
    }

    fn resource(cx: &Context, record: &Record) -> Resource {
        Resource::new(&record.id)
            .with("Arn", arn(cx, record))
            .with("KeyId", record.id.clone())
    }

    fn delete(cx: &Context, record: &Record) -> Result<(), AwsError> {
        for alias in ALIASES.list(cx)?.iter().filter(|alias| target(alias) == record.id) {
            ALIASES.delete(cx, &alias.id)?;
        }
        Ok(())
    }
}

pub fn check_key(key: &Record) -> Result<(), AwsError> {
    let supported = [
        ("KeySpec", "SYMMETRIC_DEFAULT"),
        ("KeyUsage", "ENCRYPT_DECRYPT"),
        ("Origin", "AWS_KMS"),
    ];
    for (property, value) in supported {
        if let Some(other) = key.text(property).filter(|given| given != value) {
            return Err(AwsError::new(
                "UnsupportedOperationException",
                format!("The embedded endpoint supports only keys with {property} {value}, not {other}."),
            ));
        }
    }
    let period = key
        .text("RotationPeriodInDays")
        .map(|days| days.parse::<i64>().unwrap_or_default());
    if period.is_some_and(|days| !(90..=2560).contains(&days)) {
        return Err(AwsError::new(
            "ValidationException",
            "RotationPeriodInDays must be 90 to 2560.",
        ));
    }
    let window = key
        .text("PendingWindowInDays")
        .map(|days| days.parse::<i64>().unwrap_or_default());
    if window.is_some_and(|days| !(7..=30).contains(&days)) {
        return Err(AwsError::new(
            "ValidationException",
            "PendingWindowInDays must be 7 to 30.",
        ));
    }
    Ok(())
}

/// Sets the date on which a key is deleted, and returns it.
pub fn schedule_deletion(cx: &Context, id: &str, days: i64) -> Result<i64, AwsError> {
    if !(7..=30).contains(&days) {
        let message = format!("PendingWindowInDays must be 7 to 30; it is {days}.");
        return Err(AwsError::new("ValidationException", message));
    }
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut key = find_key(cx, id)?;
    let date = now() + days * 86_400_000;
    key.computed.insert(DELETION_DATE.into(), date.into());
    KEYS.put(cx, &key)?;
    Ok(date)
}

/// Returns the keys whose deletion date has not come; deletes the others with their aliases.
pub fn keys(cx: &Context) -> Result<Vec<Record>, AwsError> {
    let mut found = KEYS.list(cx)?;
    for key in found.extract_if(.., |key| deletion_date(key).is_some_and(|date| date <= now())) {
        Key::delete(cx, &key)?;
        KEYS.delete(cx, &key.id)?;
    }
    Ok(found)
}

/// Returns the key that a call names, unless it waits for its deletion.
pub fn usable(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    let key = find_key(cx, &call.required("KeyId")?)?;
    match deletion_date(&key) {
        None => Ok(key),
        Some(_) => Err(AwsError::new(
            "KMSInvalidStateException",
            format!("{} is pending deletion.", arn(cx, &key)),
        )),
    }
}

pub fn metadata(cx: &Context, key: &Record) -> Value {
    let enabled = !key.has("Enabled", "false");
    let deletion = deletion_date(key);
    let state = match (deletion, enabled) {
        (Some(_), _) => "PendingDeletion",
        (None, true) => "Enabled",
        (None, false) => "Disabled",
    };
    let mut shown = json!({
        "KeyId": key.id, "Arn": arn(cx, key), "AWSAccountId": cx.account(), "CreationDate": seconds(key.created),
        "Description": key.text("Description").unwrap_or_default(), "Enabled": state == "Enabled",
        "KeyState": state, "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyManager": "CUSTOMER", "Origin": "AWS_KMS", "KeySpec": "SYMMETRIC_DEFAULT",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": key.has("MultiRegion", "true"),
    });
    if let Some(date) = deletion {
        shown["DeletionDate"] = seconds(date);
    }
    shown
}

/// Returns the key policy as text; the default is that of `CreateKey`.
pub fn policy(cx: &Context, key: &Record) -> String {
    match key.properties.get("KeyPolicy") {
        Some(Value::String(text)) => text.clone(),
        Some(document) => document.to_string(),
        None => json!({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [{
            "Sid": "Enable IAM User Permissions", "Effect": "Allow", "Action": "kms:*", "Resource": "*",
            "Principal": {"AWS": format!("arn:aws:iam::{}:root", cx.account())},
        }]})
        .to_string(),
    }
}
