//! KMS: keys and aliases, and encryption with AES-256-GCM.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::encryption;
use crate::records::{Record, RecordType, Records, WriteLock, record_type, seconds, tags_of};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Resource, ResourceType, Schema, Service};

const KEYS: Records = Records("kms.keys");
const ALIASES: Records = Records("kms.aliases");

pub fn service() -> Arc<dyn Service> {
    Arc::new(Kms)
}

struct Kms;

#[async_trait]
impl Service for Kms {
    fn name(&self) -> &'static str {
        "kms"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![record_type::<Key>(), record_type::<Alias>()]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        let lock = cx.extension::<WriteLock>();
        let _guard = lock.lock();
        match call.operation.as_str() {
            "DescribeKey" => Ok(json!({"KeyMetadata": metadata(cx, &find_key(cx, &call.required("KeyId")?)?)})),
            "ListKeys" => {
                let shown = |key: &Record| json!({"KeyId": key.id, "KeyArn": arn(cx, key)});
                let keys: Vec<Value> = KEYS.list(cx)?.iter().map(shown).collect();
                Ok(json!({"Keys": keys, "Truncated": false}))
            }
            "ListAliases" => aliases(cx, &call),
            "GetKeyRotationStatus" => {
                let key = find_key(cx, &call.required("KeyId")?)?;
                Ok(json!({"KeyRotationEnabled": key.has("EnableKeyRotation", "true")}))
            }
            "Encrypt" => encrypt(cx, &call),
            "Decrypt" => decrypt(cx, &call),
            other => Err(AwsError::not_implemented("kms", other)),
        }
    }
}

struct Key;

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
        match record.text("KeySpec").as_deref() {
            None | Some("SYMMETRIC_DEFAULT") => Ok(record),
            Some(other) => Err(AwsError::new(
                "UnsupportedOperationException",
                format!("The embedded endpoint supports only symmetric keys, not {other}."),
            )),
        }
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

struct Alias;

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

fn aliases(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let requested = call.text("KeyId").map(|id| find_key(cx, &id)).transpose()?;
    let all = ALIASES.list(cx)?;
    let shown: Vec<Value> = all
        .iter()
        .filter(|alias| requested.as_ref().is_none_or(|key| key.id == target(alias)))
        .map(|alias| {
            json!({
                "AliasName": alias.id, "AliasArn": cx.arn("kms", &alias.id), "TargetKeyId": target(alias),
                "CreationDate": seconds(alias.created),
            })
        })
        .collect();
    Ok(json!({"Aliases": shown, "Truncated": false}))
}

fn encrypt(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let key = find_key(cx, &call.required("KeyId")?)?;
    if key.has("Enabled", "false") {
        return Err(AwsError::new(
            "DisabledException",
            format!("{} is disabled.", arn(cx, &key)),
        ));
    }
    let plain = BASE64_STANDARD.decode(call.required("Plaintext")?);
    let plain = plain.map_err(|_| AwsError::new("ValidationException", "Plaintext must be base64."))?;
    if plain.is_empty() || plain.len() > 4096 {
        return Err(AwsError::new(
            "ValidationException",
            "Plaintext must have 1 to 4096 bytes.",
        ));
    }
    let sealed = encryption::seal(cx, &purpose(&key.id, call), &plain)?;
    // The ciphertext contains the ID of its key, so that Decrypt needs no KeyId.
    let blob = BASE64_STANDARD.encode(format!("{}:{sealed}", key.id));
    Ok(json!({"CiphertextBlob": blob, "KeyId": arn(cx, &key), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}))
}

fn decrypt(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let invalid = || {
        AwsError::new(
            "InvalidCiphertextException",
            "The ciphertext was not created by this key.",
        )
    };
    let blob = BASE64_STANDARD
        .decode(call.required("CiphertextBlob")?)
        .map_err(|_| invalid())?;
    let text = String::from_utf8(blob).map_err(|_| invalid())?;
    let (key, sealed) = text.split_once(':').ok_or_else(invalid)?;
    let key = KEYS.get(cx, key)?.ok_or_else(invalid)?;
    if let Some(given) = call.text("KeyId")
        && find_key(cx, &given)?.id != key.id
    {
        let reason = "The key ID in the request does not identify a CMK that can perform this operation.";
        return Err(AwsError::new("IncorrectKeyException", reason));
    }
    let plain = encryption::open(cx, &purpose(&key.id, call), sealed).map_err(|_| invalid())?;
    let plain = BASE64_STANDARD.encode(plain);
    Ok(json!({"Plaintext": plain, "KeyId": arn(cx, &key), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}))
}

/// Returns the additional data that binds a ciphertext to its key and its encryption context.
fn purpose(key: &str, call: &Call) -> String {
    let mut context: Vec<(String, String)> = tags_of(&call.input["EncryptionContext"]).into_iter().collect();
    context.sort();
    format!("kms {key} {}", json!(context))
}

/// Finds a key by its ID, its ARN, an alias or an alias' ARN.
fn find_key(cx: &Context, given: &str) -> Result<Record, AwsError> {
    let name = given.strip_prefix(&cx.arn("kms", "")).unwrap_or(given);
    let id = match ALIASES.get(cx, name)? {
        Some(alias) => target(&alias),
        None => name.trim_start_matches("key/").to_owned(),
    };
    let message = if name.starts_with("alias/") {
        format!("Alias {given} is not found.")
    } else {
        format!("Key '{given}' does not exist")
    };
    KEYS.get(cx, &id)?
        .ok_or_else(|| AwsError::new("NotFoundException", message))
}

/// Returns the ID of an alias' key, which a template may give as an ARN.
fn target(alias: &Record) -> String {
    let given = alias.text("TargetKeyId").unwrap_or_default();
    given.rsplit('/').next().unwrap_or_default().to_owned()
}

fn arn(cx: &Context, key: &Record) -> String {
    cx.arn("kms", &format!("key/{}", key.id))
}

fn metadata(cx: &Context, key: &Record) -> Value {
    let enabled = !key.has("Enabled", "false");
    json!({
        "KeyId": key.id, "Arn": arn(cx, key), "AWSAccountId": cx.account(), "CreationDate": seconds(key.created),
        "Description": key.text("Description").unwrap_or_default(), "Enabled": enabled,
        "KeyState": if enabled { "Enabled" } else { "Disabled" }, "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyManager": "CUSTOMER", "Origin": "AWS_KMS", "KeySpec": "SYMMETRIC_DEFAULT",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": key.has("MultiRegion", "true"),
    })
}
