//! Encryption with AES-256-GCM, data keys and random bytes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::key::{check_enabled, usable};
use super::material::Material;
use super::model::{KEYS, arn, find_key};
use super::{rotation, spec};
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
    let key = usable(cx, call)?;
    let usage = (spec::ENCRYPT, spec::SYMMETRIC);
    spec::of(&key)?.check(&arn(cx, &key), &call.operation, usage.0, usage.1)?;
    let mut response = encrypt(cx, &Call { input, ..call.clone() })?;
    if let Some(response) = response.as_object_mut() {
        response.shift_remove("EncryptionAlgorithm");
        if call.operation == "GenerateDataKey" {
            response.insert("Plaintext".into(), plaintext.into());
        }
    }
    Ok(response)
}

/// Returns the bytes of a member.
///
/// # Errors
/// `ValidationException` for a member that is missing or is no base64 text.
pub fn bytes(call: &Call, member: &str) -> Result<Vec<u8>, AwsError> {
    let decoded = BASE64_STANDARD.decode(call.required(member)?);
    decoded.map_err(|_| AwsError::new("ValidationException", format!("{member} must be base64.")))
}

/// Returns the encryption algorithm of a call, which the key must have.
fn algorithm(cx: &Context, call: &Call, key: &Record) -> Result<String, AwsError> {
    let given = call.text("EncryptionAlgorithm");
    let algorithm = given.unwrap_or_else(|| spec::SYMMETRIC.to_owned());
    spec::of(key)?.check(&arn(cx, key), &call.operation, spec::ENCRYPT, &algorithm)?;
    Ok(algorithm)
}

pub fn encrypt(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let key = usable(cx, call)?;
    check_enabled(cx, &key)?;
    let algorithm = algorithm(cx, call, &key)?;
    let plain = bytes(call, "Plaintext")?;
    if plain.is_empty() || plain.len() > 4096 {
        return Err(AwsError::new(
            "ValidationException",
            "Plaintext must have 1 to 4096 bytes.",
        ));
    }
    let blob = if algorithm == spec::SYMMETRIC {
        // The ciphertext contains the ID of its key, so that Decrypt needs no KeyId, and the number of rotations before it.
        let rotations = rotation::count(&key);
        let sealed = encryption::seal(cx, &purpose(&key.id, rotations, call), &plain)?;
        BASE64_STANDARD.encode(format!("{}.{rotations}:{sealed}", key.id))
    } else {
        let sealed = Material::of(cx, &key)?.encrypt(&algorithm, &plain)?;
        let too_long = || {
            AwsError::new(
                "ValidationException",
                "The plaintext is too long for the key and the algorithm.",
            )
        };
        BASE64_STANDARD.encode(sealed.ok_or_else(too_long)?)
    };
    Ok(json!({"CiphertextBlob": blob, "KeyId": arn(cx, &key), "EncryptionAlgorithm": algorithm}))
}

pub fn decrypt(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let invalid = || {
        AwsError::new(
            "InvalidCiphertextException",
            "The ciphertext was not created by this key.",
        )
    };
    let blob = bytes(call, "CiphertextBlob")?;
    if call
        .text("EncryptionAlgorithm")
        .is_some_and(|name| name != spec::SYMMETRIC)
    {
        let key = usable(cx, call)?;
        check_enabled(cx, &key)?;
        let algorithm = algorithm(cx, call, &key)?;
        let plain = Material::of(cx, &key)?
            .decrypt(&algorithm, &blob)?
            .ok_or_else(invalid)?;
        let plain = BASE64_STANDARD.encode(plain);
        return Ok(json!({"Plaintext": plain, "KeyId": arn(cx, &key), "EncryptionAlgorithm": algorithm}));
    }
    let text = String::from_utf8(blob).map_err(|_| invalid())?;
    let (key, sealed) = text.split_once(':').ok_or_else(invalid)?;
    let (key, rotations) = key.split_once('.').unwrap_or((key, "0"));
    let rotations = rotations.parse().map_err(|_| invalid())?;
    let key = KEYS.get(cx, key)?.ok_or_else(invalid)?;
    check_enabled(cx, &key)?;
    if let Some(given) = call.text("KeyId")
        && find_key(cx, &given)?.id != key.id
    {
        let reason = "The key ID in the request does not identify a CMK that can perform this operation.";
        return Err(AwsError::new("IncorrectKeyException", reason));
    }
    let plain = encryption::open(cx, &purpose(&key.id, rotations, call), sealed).map_err(|_| invalid())?;
    let plain = BASE64_STANDARD.encode(plain);
    Ok(json!({"Plaintext": plain, "KeyId": arn(cx, &key), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}))
}

/// Returns the additional data that binds a ciphertext to its key, the key's rotations and the encryption context.
fn purpose(key: &str, rotations: usize, call: &Call) -> String {
    let mut context: Vec<(String, String)> = tags_of(&call.input["EncryptionContext"]).into_iter().collect();
    context.sort();
    match rotations {
        0 => format!("kms {key} {}", json!(context)),
        _ => format!("kms {key}.{rotations} {}", json!(context)),
    }
}
