//! `AWS::KMS::Key`: its rules, its deletion after a waiting time, and its description.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::material;
use super::model::{ALIASES, DELETION_DATE, GRANTS, KEYS, arn, deletion_date, find_key, target};
use super::spec::{self, Spec};
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
        let spec = spec::of(&Record::new("", desired))?;
        // An RSA key takes a while, which no lock may wait for.
        let generated = tokio::task::spawn_blocking(|| material::generate(spec.name)).await;
        let Some(generated) = generated.map_err(anyhow::Error::from)?? else {
            return self.record.create(cx, desired).await;
        };
        let mut with_material = desired.clone();
        with_material.properties[material::MATERIAL] = BASE64_STANDARD.encode(generated).into();
        self.record.create(cx, &with_material).await
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

    fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
        let mut record = Record::new(Uuid::new_v4().to_string(), desired);
        if record.has("MultiRegion", "true") {
            // "Multi-Region keys have a distinctive key ID that begins with mrk-" (KMS Developer Guide).
            record.id = format!("mrk-{}", record.id.replace('-', ""));
        }
        check_key(&record)?;
        material::store(cx, &mut record)?;
        Ok(record)
    }

    /// "If you change the value of the `KeySpec`, `KeyUsage`, `Origin`, or `MultiRegion` property of an existing KMS key, the update request
    /// fails" (`CloudFormation` Template Reference, `AWS::KMS::Key`).
    fn update(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
        let before = KEYS.get(cx, &record.id)?;
        let defaults = [
            ("KeySpec", spec::SYMMETRIC),
            ("KeyUsage", spec::ENCRYPT),
            ("Origin", "AWS_KMS"),
            ("MultiRegion", "false"),
        ];
        for (property, default) in defaults {
            let value = |key: &Record| key.text(property).unwrap_or_else(|| default.to_owned());
            if before.as_ref().is_some_and(|before| value(before) != value(record)) {
                let message = format!("You cannot change the {property} property of an existing KMS key.");
                return Err(AwsError::new("ValidationException", message));
            }
        }
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
        for grant in GRANTS.list(cx)?.iter().filter(|grant| grant.has("KeyId", &record.id)) {
            GRANTS.delete(cx, &grant.id)?;
        }
        Ok(())
    }
}

pub fn check_key(key: &Record) -> Result<(), AwsError> {
    let spec = spec::of(key)?;
    if let Some(other) = key.text("Origin").filter(|given| given != "AWS_KMS") {
        return Err(AwsError::new(
            "UnsupportedOperationException",
            format!("The embedded endpoint supports only keys with Origin AWS_KMS, not {other}."),
        ));
    }
    if spec.name != spec::SYMMETRIC && key.has("EnableKeyRotation", "true") {
        let message = "Automatic rotation is supported for symmetric encryption keys only.";
        return Err(AwsError::new("UnsupportedOperationException", message));
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

/// Checks that a key can be used.
///
/// # Errors
/// `KMSInvalidStateException` or `DisabledException`.
pub fn check_enabled(cx: &Context, key: &Record) -> Result<(), AwsError> {
    if deletion_date(key).is_some() {
        let message = format!("{} is pending deletion.", arn(cx, key));
        return Err(AwsError::new("KMSInvalidStateException", message));
    }
    if key.has("Enabled", "false") {
        return Err(AwsError::new(
            "DisabledException",
            format!("{} is disabled.", arn(cx, key)),
        ));
    }
    Ok(())
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
        "KeyState": state, "KeyManager": "CUSTOMER", "Origin": "AWS_KMS", "MultiRegion": key.has("MultiRegion", "true"),
    });
    if let (Some(shown), Ok(Value::Object(of_spec))) = (shown.as_object_mut(), spec::of(key).map(Spec::shown)) {
        shown.extend(of_spec);
    }
    if key.has("MultiRegion", "true") {
        shown["MultiRegionConfiguration"] = json!({
            "MultiRegionKeyType": "PRIMARY", "PrimaryKey": {"Arn": arn(cx, key), "Region": cx.region()}, "ReplicaKeys": [],
        });
    }
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
