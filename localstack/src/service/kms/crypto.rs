//! Encryption with AES-256-GCM, data keys and random bytes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::key::usable;
use super::model::{KEYS, arn, deletion_date, find_key};
use crate::encryption;
use crate::records::{Record, tags_of};
use crate::service::Call;
use crate::{AwsError, Context};

pub fn random(length: i64) -> Result<String, AwsError> {
    let length = usize::try_from(length)
        .ok()
        .filter(|length| (1..=1024).contains(length));
    let length = length.ok_or_else(|| AwsError::new("ValidationException", "NumberOfBytes must be 1 to 1024."))?;
    let bytes: Vec<u8> = (0..length).map(|_| rand::random()).collect();
    Ok(BASE64_STANDARD.encode(bytes))
}

pub fn data_key(cx: &Context, call: &Call) -> Result<Value, AwsError> {
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

pub fn encrypt(cx: &Context, call: &Call) -> Result<Value, AwsError> {
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

pub fn decrypt(cx: &Context, call: &Call) -> Result<Value, AwsError> {
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
pub fn purpose(key: &str, call: &Call) -> String {
    let mut context: Vec<(String, String)> = tags_of(&call.input["EncryptionContext"]).into_iter().collect();
    context.sort();
    format!("kms {key} {}", json!(context))
}
