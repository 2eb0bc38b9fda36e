//! KMS: keys, aliases and grants; encryption with AES-256-GCM, and RSA, elliptic curves and HMAC.

mod alias;
mod change;
mod crypto;
mod grant;
mod key;
mod material;
mod model;
mod rotation;
mod signature;
mod spec;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::input::retag;
use crate::records::{Record, WriteLock, page, record_type, seconds};
use crate::service::Call;
use crate::{AwsError, Context, ResourceType, Service};

use key::{metadata, usable};
use model::{DELETION_DATE, KEYS, arn, find_key};

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
        let key = key::KeyType {
            record: record_type::<key::Key>(),
        };
        vec![Arc::new(key), record_type::<alias::Alias>()]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "CreateKey" => change::create(cx, &call).await,
            "EnableKeyRotation"
            | "DisableKeyRotation"
            | "UpdateKeyDescription"
            | "EnableKey"
            | "DisableKey"
            | "PutKeyPolicy" => change::change(cx, &call).await,
            "CreateAlias" | "UpdateAlias" | "DeleteAlias" => alias::change(cx, &call).await,
            "ReEncrypt" => {
                let source = Call {
                    input: json!({
                        "CiphertextBlob": call.input["CiphertextBlob"], "KeyId": call.input["SourceKeyId"],
                        "EncryptionContext": call.input["SourceEncryptionContext"],
                        "EncryptionAlgorithm": call.input["SourceEncryptionAlgorithm"],
                    }),
                    ..call.clone()
                };
                let opened = crypto::decrypt(cx, &source)?;
                let target = Call {
                    input: json!({
                        "Plaintext": opened["Plaintext"], "KeyId": call.input["DestinationKeyId"],
                        "EncryptionContext": call.input["DestinationEncryptionContext"],
                        "EncryptionAlgorithm": call.input["DestinationEncryptionAlgorithm"],
                    }),
                    ..call
                };
                let sealed = crypto::encrypt(cx, &target)?;
                Ok(json!({
                    "CiphertextBlob": sealed["CiphertextBlob"], "KeyId": sealed["KeyId"], "SourceKeyId": opened["KeyId"],
                    "SourceEncryptionAlgorithm": opened["EncryptionAlgorithm"],
                    "DestinationEncryptionAlgorithm": sealed["EncryptionAlgorithm"],
                }))
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
                let date = key::schedule_deletion(cx, &key.id, days)?;
                Ok(json!({
                    "KeyId": arn(cx, &key), "DeletionDate": seconds(date), "KeyState": "PendingDeletion",
                    "PendingWindowInDays": days,
                }))
            }
            "CancelKeyDeletion" => {
                let lock = cx.shared::<WriteLock>();
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
            "CreateGrant" => grant::create(cx, &call),
            "RevokeGrant" | "RetireGrant" => grant::end(cx, &call),
            "RotateKeyOnDemand" => rotation::on_demand(cx, &call),
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
            listed(call, "Keys", key::keys(cx)?.iter().map(shown).collect())
        }
        "ListAliases" => alias::list(cx, call),
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
            Ok(json!({"Policy": key::policy(cx, &key), "PolicyName": "default"}))
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
        "Encrypt" => crypto::encrypt(cx, call),
        "Decrypt" => crypto::decrypt(cx, call),
        "GenerateDataKey" | "GenerateDataKeyWithoutPlaintext" => crypto::data_key(cx, call),
        "GenerateRandom" => {
            let bytes = crypto::random(call.integer("NumberOfBytes").unwrap_or_default())?;
            Ok(json!({"Plaintext": bytes}))
        }
        "ListGrants" | "ListRetirableGrants" => grant::list(cx, call),
        "ListKeyRotations" => rotation::list(cx, call),
        _ => signature::call(cx, call),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{context_with, create};

    #[tokio::test]
    async fn a_key_gives_data_keys_until_it_waits_for_its_deletion() {
        let (cx, _folder) = context_with(vec![service()]);
        let call = async |operation: &'static str, input: Value| cx.call("kms", operation, input).await;
        let made = json!({"Description": "x", "Tags": [{"TagKey": "a", "TagValue": "b"}]});
        let key = call("CreateKey", made).await.unwrap()["KeyMetadata"]["KeyId"].clone();
        call("CreateAlias", json!({"AliasName": "alias/k", "TargetKeyId": key}))
            .await
            .unwrap();
        let of_alias = json!({"KeyId": "alias/k", "KeySpec": "AES_256"});
        let data_key = call("GenerateDataKey", of_alias).await.unwrap();
        let opened = call("Decrypt", json!({"CiphertextBlob": data_key["CiphertextBlob"]}))
            .await
            .unwrap();
        assert_eq!(opened["Plaintext"], data_key["Plaintext"]);
        call("EnableKeyRotation", json!({"KeyId": key})).await.unwrap();
        let rotation = call("GetKeyRotationStatus", json!({"KeyId": key})).await.unwrap();
        assert_eq!(
            (&rotation["KeyRotationEnabled"], &rotation["RotationPeriodInDays"]),
            (&json!(true), &json!(365))
        );
        let tags = call("ListResourceTags", json!({"KeyId": key})).await.unwrap();
        assert_eq!(tags["Tags"], json!([{"TagKey": "a", "TagValue": "b"}]));
        let policy = call("GetKeyPolicy", json!({"KeyId": key, "PolicyName": "default"}))
            .await
            .unwrap();
        assert!(policy["Policy"].as_str().unwrap().contains("kms:*"));

        let early = json!({"KeyId": key, "PendingWindowInDays": 3});
        assert_eq!(
            call("ScheduleKeyDeletion", early).await.unwrap_err().code,
            "ValidationException"
        );
        call("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7}))
            .await
            .unwrap();
        let encrypt = json!({"KeyId": key, "Plaintext": "eA=="});
        assert_eq!(
            call("Encrypt", encrypt.clone()).await.unwrap_err().code,
            "KMSInvalidStateException"
        );
        call("CancelKeyDeletion", json!({"KeyId": key})).await.unwrap();
        assert_eq!(
            call("Encrypt", encrypt.clone()).await.unwrap_err().code,
            "DisabledException"
        );
        call("EnableKey", json!({"KeyId": key})).await.unwrap();
        call("Encrypt", encrypt).await.unwrap();
        call("DeleteAlias", json!({"AliasName": "alias/k"})).await.unwrap();
        assert_eq!(
            call("DescribeKey", json!({"KeyId": "alias/k"})).await.unwrap_err().code,
            "NotFoundException"
        );
    }

    #[tokio::test]
    async fn asymmetric_keys_sign_encrypt_and_agree() {
        let (cx, _folder) = context_with(vec![service()]);
        let call = async |operation: &'static str, input: Value| cx.call("kms", operation, input).await;
        let key = async |spec: &str, usage: &str| {
            let made = call("CreateKey", json!({"KeySpec": spec, "KeyUsage": usage}))
                .await
                .unwrap();
            made["KeyMetadata"]["KeyId"].clone()
        };
        for (spec, algorithm) in [("RSA_2048", "RSASSA_PSS_SHA_384"), ("ECC_SECG_P256K1", "ECDSA_SHA_256")] {
            let mut input =
                json!({"KeyId": key(spec, "SIGN_VERIFY").await, "Message": "eA==", "SigningAlgorithm": algorithm});
            input["Signature"] = call("Sign", input.clone()).await.unwrap()["Signature"].clone();
            assert_eq!(call("Verify", input.clone()).await.unwrap()["SignatureValid"], true);
            input["Message"] = "eQ==".into();
            assert_eq!(
                call("Verify", input.clone()).await.unwrap_err().code,
                "KMSInvalidSignatureException"
            );
            input["SigningAlgorithm"] = "ECDSA_SHA_512".into();
            assert_eq!(call("Sign", input).await.unwrap_err().code, "InvalidKeyUsageException");
        }
        let rsa = key("RSA_2048", "ENCRYPT_DECRYPT").await;
        let mut input = json!({"KeyId": rsa, "Plaintext": "eA==", "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
        input["CiphertextBlob"] = call("Encrypt", input.clone()).await.unwrap()["CiphertextBlob"].clone();
        assert_eq!(call("Decrypt", input).await.unwrap()["Plaintext"], "eA==");
        let curve = [
            key("ECC_NIST_P384", "KEY_AGREEMENT").await,
            key("ECC_NIST_P384", "KEY_AGREEMENT").await,
        ];
        let mut secrets = Vec::new();
        for (own, peer) in [(&curve[0], &curve[1]), (&curve[1], &curve[0])] {
            let public = call("GetPublicKey", json!({"KeyId": peer})).await.unwrap();
            let input = json!({"KeyId": own, "KeyAgreementAlgorithm": "ECDH", "PublicKey": public["PublicKey"]});
            secrets.push(call("DeriveSharedSecret", input).await.unwrap()["SharedSecret"].clone());
        }
        assert_eq!(secrets[0], secrets[1]);
    }

    #[tokio::test]
    async fn a_rotated_key_decrypts_what_it_encrypted_before() {
        let (cx, _folder) = context_with(vec![service()]);
        let call = async |operation: &'static str, input: Value| cx.call("kms", operation, input).await;
        let key = call("CreateKey", json!({})).await.unwrap()["KeyMetadata"]["KeyId"].clone();
        let encrypt = json!({"KeyId": key, "Plaintext": "eA=="});
        let before = call("Encrypt", encrypt.clone()).await.unwrap();
        call("RotateKeyOnDemand", json!({"KeyId": key})).await.unwrap();
        for sealed in [before, call("Encrypt", encrypt).await.unwrap()] {
            let opened = call("Decrypt", json!({"CiphertextBlob": sealed["CiphertextBlob"]})).await;
            assert_eq!(opened.unwrap()["Plaintext"], "eA==");
        }
        let rotations = call("ListKeyRotations", json!({"KeyId": key})).await.unwrap();
        assert_eq!(rotations["Rotations"].as_array().map(Vec::len), Some(1));
    }

    #[tokio::test]
    async fn the_key_of_a_deleted_stack_is_pending_deletion() {
        let (cx, _folder) = context_with(vec![service()]);
        let key = create(&cx, "AWS::KMS::Key", "K", json!({"PendingWindowInDays": 7}))
            .await
            .unwrap()
            .physical_id;
        let of_type = cx.resource_type("AWS::KMS::Key").unwrap();
        of_type.delete(&cx, &key, &Value::Null).await.unwrap();
        assert_eq!(of_type.read(&cx, &key).await.unwrap(), None);
        let found = cx.call("kms", "DescribeKey", json!({"KeyId": key})).await.unwrap();
        assert_eq!(found["KeyMetadata"]["KeyState"], "PendingDeletion");
    }
}
