//! Signatures, message authentication codes, shared secrets and data key pairs.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::crypto::{self, bytes};
use super::key::{check_enabled, usable};
use super::material::{self, Material, Signed};
use super::model::arn;
use super::spec::{self, Spec};
use crate::records::Record;
use crate::service::Call;
use crate::{AwsError, Context};

/// Serves the operations of asymmetric and HMAC keys.
///
/// # Errors
/// Those of the API reference, and `NotImplemented` for another operation.
pub fn call(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    match call.operation.as_str() {
        "Sign" | "Verify" => signature(cx, call),
        "GenerateMac" | "VerifyMac" => mac(cx, call),
        "GetPublicKey" => public_key(cx, call),
        "DeriveSharedSecret" => shared_secret(cx, call),
        "GenerateDataKeyPair" | "GenerateDataKeyPairWithoutPlaintext" => data_key_pair(cx, call),
        other => Err(AwsError::not_implemented("kms", other)),
    }
}

/// Returns the key of a call, which must have this usage and the algorithm.
fn key(cx: &Context, call: &Call, usage: &str, algorithm: &str) -> Result<(Record, &'static Spec), AwsError> {
    let key = usable(cx, call)?;
    check_enabled(cx, &key)?;
    let spec = spec::of(&key)?;
    spec.check(&arn(cx, &key), &call.operation, usage, algorithm)?;
    Ok((key, spec))
}

fn signature(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let algorithm = call.required("SigningAlgorithm")?;
    let (key, _) = key(cx, call, spec::SIGN, &algorithm)?;
    let message = bytes(call, "Message")?;
    let signed = match call.text("MessageType").as_deref() {
        None | Some("RAW") => Signed::Message(&message),
        Some("DIGEST") => Signed::Digest(&message),
        Some(other) => {
            let reason = format!("The embedded endpoint does not support MessageType {other}.");
            return Err(AwsError::new("UnsupportedOperationException", reason));
        }
    };
    let digest = material::digest(&algorithm, &signed).ok_or_else(|| {
        let reason = format!("Digest is invalid length for algorithm {algorithm}.");
        AwsError::new("ValidationException", reason)
    })?;
    let material = Material::of(cx, &key)?;
    if call.operation == "Sign" {
        let signature = BASE64_STANDARD.encode(material.sign(&algorithm, &digest)?);
        return Ok(json!({"KeyId": arn(cx, &key), "Signature": signature, "SigningAlgorithm": algorithm}));
    }
    if !material.verifies(&algorithm, &digest, &bytes(call, "Signature")?)? {
        return Err(AwsError::new(
            "KMSInvalidSignatureException",
            "The signature is not valid.",
        ));
    }
    Ok(json!({"KeyId": arn(cx, &key), "SignatureValid": true, "SigningAlgorithm": algorithm}))
}

fn mac(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let algorithm = call.required("MacAlgorithm")?;
    let (key, _) = key(cx, call, spec::MAC, &algorithm)?;
    let code = Material::of(cx, &key)?.mac(&bytes(call, "Message")?)?;
    if call.operation == "GenerateMac" {
        return Ok(json!({"KeyId": arn(cx, &key), "Mac": BASE64_STANDARD.encode(code), "MacAlgorithm": algorithm}));
    }
    if aws_lc_rs::constant_time::verify_slices_are_equal(&code, &bytes(call, "Mac")?).is_err() {
        return Err(AwsError::new("KMSInvalidMacException", "The MAC is not valid."));
    }
    Ok(json!({"KeyId": arn(cx, &key), "MacValid": true, "MacAlgorithm": algorithm}))
}

fn public_key(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let key = usable(cx, call)?;
    check_enabled(cx, &key)?;
    let spec = spec::of(&key)?;
    if matches!(spec.usage, spec::MAC) || spec.name == spec::SYMMETRIC {
        let message = format!("{} is not an asymmetric key: it has no public key.", arn(cx, &key));
        return Err(AwsError::new("UnsupportedOperationException", message));
    }
    let mut shown = spec.shown();
    shown["KeyId"] = arn(cx, &key).into();
    shown["PublicKey"] = BASE64_STANDARD.encode(Material::of(cx, &key)?.public_key()?).into();
    Ok(shown)
}

fn shared_secret(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let algorithm = call.required("KeyAgreementAlgorithm")?;
    let (key, _) = key(cx, call, spec::AGREE, &algorithm)?;
    let secret = Material::of(cx, &key)?
        .agree(&bytes(call, "PublicKey")?)?
        .ok_or_else(|| {
            AwsError::new(
                "ValidationException",
                "The public key is not one of the curve of the KMS key.",
            )
        })?;
    Ok(json!({
        "KeyId": arn(cx, &key), "SharedSecret": BASE64_STANDARD.encode(secret), "KeyAgreementAlgorithm": algorithm, "KeyOrigin": "AWS_KMS",
    }))
}

/// Generates a key pair; its private key is encrypted with a symmetric key.
fn data_key_pair(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    key(cx, call, spec::ENCRYPT, spec::SYMMETRIC)?;
    let name = call.required("KeyPairSpec")?;
    let pair_spec = spec::pair(&name).ok_or_else(|| {
        let message = format!("The embedded endpoint does not support the KeyPairSpec {name}.");
        AwsError::new("UnsupportedOperationException", message)
    })?;
    let pair = Material::new(pair_spec)?;
    let private = BASE64_STANDARD.encode(pair.private());
    let mut input = call.input.clone();
    input["Plaintext"] = private.clone().into();
    let sealed = crypto::encrypt(cx, &Call { input, ..call.clone() })?;
    let mut response = json!({
        "KeyId": sealed["KeyId"], "KeyPairSpec": name, "PrivateKeyCiphertextBlob": sealed["CiphertextBlob"],
        "PublicKey": BASE64_STANDARD.encode(pair.public_key()?),
    });
    if call.operation == "GenerateDataKeyPair" {
        response["PrivateKeyPlaintext"] = private.into();
    }
    Ok(response)
}
