//! KMS: keys and aliases, and encryption with AES-256-GCM.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::input::{only, properties, retag};
use crate::encryption;
use crate::records::{Record, RecordType, Records, WriteLock, now, page, record_type, seconds, tags_of};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Failure, Resource, ResourceType, Schema, Service};

const KEYS: Records = Records("kms.keys");
const ALIASES: Records = Records("kms.aliases");
/// The computed value of a key that waits for its deletion: milliseconds since 1970.
const DELETION_DATE: &str = "DeletionDate";

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
        let key = KeyType {
            record: record_type::<Key>(),
        };
        vec![Arc::new(key), record_type::<Alias>()]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "CreateKey" => create(cx, &call).await,
            "EnableKeyRotation"
            | "DisableKeyRotation"
            | "UpdateKeyDescription"
            | "EnableKey"
            | "DisableKey"
            | "PutKeyPolicy" => change(cx, &call).await,
            "CreateAlias" | "UpdateAlias" | "DeleteAlias" => change_alias(cx, &call).await,
            "ReEncrypt" => {
                let source = Call {
                    input: json!({
                        "CiphertextBlob": call.input["CiphertextBlob"], "KeyId": call.input["SourceKeyId"],
                        "EncryptionContext": call.input["SourceEncryptionContext"],
                    }),
                    ..call.clone()
                };
                let opened = decrypt(cx, &source)?;
                let target = Call {
                    input: json!({
                        "Plaintext": opened["Plaintext"], "KeyId": call.input["DestinationKeyId"],
                        "EncryptionContext": call.input["DestinationEncryptionContext"],
                    }),
                    ..call
                };
                let mut sealed = encrypt(cx, &target)?;
                sealed["SourceKeyId"] = opened["KeyId"].clone();
                Ok(sealed)
            }
            "TagResource" | "UntagResource" => {
                let key = usable(cx, &call)?;
                let tags = call.list("Tags");
                let add: Value = tags
                    .iter()
                    .map(|tag| json!({"Key": tag["TagKey"], "Value": tag["TagValue"]}))
                    .collect();
                retag(cx, KEYS, &key.id, &add, &call.input["TagKeys"])?;
                Ok(json!({}))
            }
            "ScheduleKeyDeletion" => {
                let key = usable(cx, &call)?;
                let days = call.integer("PendingWindowInDays").unwrap_or(30);
                let date = schedule_deletion(cx, &key.id, days)?;
                Ok(json!({
                    "KeyId": arn(cx, &key), "DeletionDate": seconds(date), "KeyState": "PendingDeletion",
                    "PendingWindowInDays": days,
                }))
            }
            "CancelKeyDeletion" => {
                let lock = cx.extension::<WriteLock>();
                let _guard = lock.lock();
                let mut key = find_key(cx, &call.required("KeyId")?)?;
                if key.computed.shift_remove(DELETION_DATE).is_none() {
                    let message = format!("{} is not pending deletion.", arn(cx, &key));
                    return Err(AwsError::new("KMSInvalidStateException", message));
                }
                // "When this operation succeeds, the key state of the KMS key is Disabled" (CancelKeyDeletion).
                key.properties.insert("Enabled".into(), false.into());
                KEYS.put(cx, &key)?;
                Ok(json!({"KeyId": arn(cx, &key)}))
            }
            _ => read(cx, &call),
        }
    }
}

/// Answers the operations that change nothing.
fn read(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let key = || find_key(cx, &call.required("KeyId")?);
    match call.operation.as_str() {
        "DescribeKey" => Ok(json!({"KeyMetadata": metadata(cx, &key()?)})),
        "ListKeys" => {
            let shown = |key: &Record| json!({"KeyId": key.id, "KeyArn": arn(cx, key)});
            listed(call, "Keys", keys(cx)?.iter().map(shown).collect())
        }
        "ListAliases" => aliases(cx, call),
        "GetKeyRotationStatus" => {
            let key = key()?;
            let enabled = key.has("EnableKeyRotation", "true");
            let mut response = json!({"KeyId": arn(cx, &key), "KeyRotationEnabled": enabled});
            if enabled {
                let period = key
                    .text("RotationPeriodInDays")
                    .and_then(|days| days.parse::<i64>().ok());
                response["RotationPeriodInDays"] = period.unwrap_or(365).into();
            }
            Ok(response)
        }
        "GetKeyPolicy" => {
            let (key, name) = (key()?, call.text("PolicyName").unwrap_or_else(|| "default".into()));
            if name != "default" {
                return Err(AwsError::new("NotFoundException", format!("No policy {name} exists.")));
            }
            Ok(json!({"Policy": policy(cx, &key), "PolicyName": "default"}))
        }
        "ListKeyPolicies" => key().map(|_| json!({"PolicyNames": ["default"], "Truncated": false})),
        "ListResourceTags" => {
            let key = key()?;
            let tags = key
                .tags
                .iter()
                .map(|(key, value)| json!({"TagKey": key, "TagValue": value}));
            listed(call, "Tags", tags.collect())
        }
        "Encrypt" => encrypt(cx, call),
        "Decrypt" => decrypt(cx, call),
        "GenerateDataKey" | "GenerateDataKeyWithoutPlaintext" => data_key(cx, call),
        "GenerateRandom" => {
            let bytes = random(call.integer("NumberOfBytes").unwrap_or_default())?;
            Ok(json!({"Plaintext": bytes}))
        }
        other => Err(AwsError::not_implemented("kms", other)),
    }
}

/// Returns a page of a list, with the markers of KMS.
fn listed(call: &Call, member: &str, items: Vec<Value>) -> Result<Value, AwsError> {
    let limit = call.limit("Limit", 100, 1..=1000);
    let marker = call.text("Marker");
    let (items, next) = page(items, limit, marker.as_deref())
        .map_err(|_| AwsError::new("InvalidMarkerException", "The marker was not issued by this endpoint."))?;
    let mut response = json!({ member: items, "Truncated": next.is_some() });
    if let Some(next) = next {
        response["NextMarker"] = next.into();
    }
    Ok(response)
}

async fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
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
    let mut wanted = properties(&call.input, &names);
    if let Some(policy) = call.text("Policy") {
        wanted.insert("KeyPolicy".into(), parsed_policy(&policy)?);
    }
    let tags = call.list("Tags");
    let tags = tags
        .iter()
        .map(|tag| json!({"Key": tag["TagKey"], "Value": tag["TagValue"]}));
    wanted.insert("Tags".into(), tags.collect());
    let created = cx.create_resource(Key::TYPE, Value::Object(wanted)).await?;
    Ok(json!({"KeyMetadata": metadata(cx, &find_key(cx, &created.physical_id)?)}))
}

/// Changes one property of a key.
async fn change(cx: &Context, call: &Call) -> Result<Value, AwsError> {
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

async fn change_alias(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("AliasName")?;
    let missing = || {
        let message = format!("Alias {} is not found.", cx.arn("kms", &name));
        AwsError::new("NotFoundException", message)
    };
    match call.operation.as_str() {
        "CreateAlias" => {
            let wanted = json!({"AliasName": name, "TargetKeyId": call.required("TargetKeyId")?});
            cx.create_resource(Alias::TYPE, wanted).await?;
        }
        "UpdateAlias" => {
            let target = call.required("TargetKeyId")?;
            let set = |properties: &mut serde_json::Map<String, Value>| {
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

fn parsed_policy(text: &str) -> Result<Value, AwsError> {
    let document = serde_json::from_str::<Value>(text).ok();
    let document = document.filter(|document| document.get("Statement").is_some());
    document.ok_or_else(|| AwsError::new("MalformedPolicyDocumentException", "The policy has no statements."))
}

/// Returns the key policy as text; the default is that of `CreateKey`.
fn policy(cx: &Context, key: &Record) -> String {
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

/// Sets the date on which a key is deleted, and returns it.
fn schedule_deletion(cx: &Context, id: &str, days: i64) -> Result<i64, AwsError> {
    if !(7..=30).contains(&days) {
        let message = format!("PendingWindowInDays must be 7 to 30; it is {days}.");
        return Err(AwsError::new("ValidationException", message));
    }
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    let mut key = find_key(cx, id)?;
    let date = now() + days * 86_400_000;
    key.computed.insert(DELETION_DATE.into(), date.into());
    KEYS.put(cx, &key)?;
    Ok(date)
}

fn deletion_date(key: &Record) -> Option<i64> {
    key.computed.get(DELETION_DATE).and_then(Value::as_i64)
}

/// Returns the keys whose deletion date has not come; deletes the others with their aliases.
fn keys(cx: &Context) -> Result<Vec<Record>, AwsError> {
    let mut found = KEYS.list(cx)?;
    for key in found.extract_if(.., |key| deletion_date(key).is_some_and(|date| date <= now())) {
        Key::delete(cx, &key)?;
        KEYS.delete(cx, &key.id)?;
    }
    Ok(found)
}

/// Returns the key that a call names, unless it waits for its deletion.
fn usable(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    let key = find_key(cx, &call.required("KeyId")?)?;
    match deletion_date(&key) {
        None => Ok(key),
        Some(_) => Err(AwsError::new(
            "KMSInvalidStateException",
            format!("{} is pending deletion.", arn(cx, &key)),
        )),
    }
}

fn random(length: i64) -> Result<String, AwsError> {
    let length = usize::try_from(length)
        .ok()
        .filter(|length| (1..=1024).contains(length));
    let length = length.ok_or_else(|| AwsError::new("ValidationException", "NumberOfBytes must be 1 to 1024."))?;
    let bytes: Vec<u8> = (0..length).map(|_| rand::random()).collect();
    Ok(BASE64_STANDARD.encode(bytes))
}

fn data_key(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let length = match (call.text("KeySpec").as_deref(), call.integer("NumberOfBytes")) {
        (Some("AES_256"), None) => 32,
        (Some("AES_128"), None) => 16,
        (None, Some(length)) => length,
        _ => {
            let message = "Please specify either number of bytes or key spec.";
            return Err(AwsError::new("ValidationException", message));
        }
    };
    let plaintext = random(length)?;
    let mut input = call.input.clone();
    input["Plaintext"] = plaintext.clone().into();
    let mut response = encrypt(cx, &Call { input, ..call.clone() })?;
    if let Some(response) = response.as_object_mut() {
        response.shift_remove("EncryptionAlgorithm");
        if call.operation == "GenerateDataKey" {
            response.insert("Plaintext".into(), plaintext.into());
        }
    }
    Ok(response)
}

/// The resource type of keys. A deleted key waits for its end, for 7 to 30 days (`AWS::KMS::Key`, `PendingWindowInDays`).
struct KeyType {
    record: Arc<dyn ResourceType>,
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

fn check_key(key: &Record) -> Result<(), AwsError> {
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

fn encrypt(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let key = usable(cx, call)?;
    check_enabled(cx, &key)?;
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

fn check_enabled(cx: &Context, key: &Record) -> Result<(), AwsError> {
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
    check_enabled(cx, &key)?;
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
    let found = KEYS.get(cx, &id)?;
    found
        .filter(|key| deletion_date(key).is_none_or(|date| date > now()))
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
