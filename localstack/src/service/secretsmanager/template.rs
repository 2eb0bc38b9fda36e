//! `AWS::SecretsManager::Secret`.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::generate;
use super::secret::{Secret, SecretValue, find, get_active};
use crate::records::{WriteLock, scalar, tags_of};
use crate::{AwsError, Context, Desired, Failure, Resource, ResourceType, Schema};

pub struct SecretType;

#[async_trait]
impl ResourceType for SecretType {
    fn name(&self) -> &'static str {
        "AWS::SecretsManager::Secret"
    }

    fn schema(&self) -> Schema {
        Schema {
            properties: &[
                "Name",
                "Description",
                "KmsKeyId",
                "SecretString",
                "GenerateSecretString",
                "ReplicaRegions",
                "Tags",
            ],
            create_only: &["Name"],
            attributes: &["Id"],
            write_only: &["SecretString", "GenerateSecretString"],
            ..Schema::default()
        }
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let lock = cx.shared::<WriteLock>();
        let _guard = lock.lock();
        let text = |property: &str| desired.properties.get(property).and_then(scalar);
        let name = text("Name").unwrap_or_else(|| desired.generated_name(64));
        let secret = cx.store().transaction(|| -> Result<_, AwsError> {
            let mut secret = Secret::new(cx, &name)?;
            if let Some(value) = desired_value(desired)? {
                secret.put(cx, None, &SecretValue::Text(value), &[])?;
            }
            describe(&mut secret, desired);
            secret.store(cx)?;
            desired.initiated.report(&secret.arn)?;
            Ok(secret)
        })?;
        Ok(resource(&secret))
    }

    async fn update(&self, cx: &Context, id: &str, previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        let lock = cx.shared::<WriteLock>();
        let _guard = lock.lock();
        let mut secret = get_active(cx, id)?;
        // The rollback of a changed GenerateSecretString restores the previously generated value.
        let same = |property: &str| previous.get(property) == desired.properties.get(property);
        if !same("SecretString") || !same("GenerateSecretString") {
            let generator = desired.properties.get("GenerateSecretString").cloned();
            let previous_version = secret.version(None, Some(super::secret::PREVIOUS)).ok().cloned();
            let value = match previous_version.filter(|_| generator.is_some() && secret.replaced_generator == generator)
            {
                Some(version) => Some(secret.decrypt(cx, &version)?),
                None => desired_value(desired)?.map(SecretValue::Text),
            };
            if let Some(value) = value {
                secret.put(cx, None, &value, &[])?;
            }
            secret.replaced_generator = previous.get("GenerateSecretString").cloned();
        }
        describe(&mut secret, desired);
        secret.store(cx)?;
        Ok(resource(&secret))
    }

    /// Deletes the secret without a recovery window, as AWS's handler does, so that the next deployment can reuse the
    /// name.
    async fn delete(&self, cx: &Context, id: &str, _properties: &Value) -> Result<(), Failure> {
        let lock = cx.shared::<WriteLock>();
        let _guard = lock.lock();
        match find(cx, id)? {
            Some(secret) => Ok(secret.delete(cx)?),
            None => Ok(()),
        }
    }

    async fn read(&self, cx: &Context, id: &str) -> Result<Option<Value>, Failure> {
        let Some(secret) = find(cx, id)?.filter(|secret| secret.deleted.is_none()) else {
            return Ok(None);
        };
        let mut live = Map::new();
        live.insert("Name".into(), secret.name.into());
        for (property, value) in [("Description", secret.description), ("KmsKeyId", secret.kms_key)] {
            if let Some(value) = value {
                live.insert(property.into(), value.into());
            }
        }
        let own = secret.tags.iter().filter(|(key, _)| !secret.inherited.contains(key));
        let own: Vec<Value> = own.map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        if !own.is_empty() {
            live.insert("Tags".into(), own.into());
        }
        Ok(Some(Value::Object(live)))
    }
}

/// Returns the value that the template contains or has generated, or `None` for a secret without a value.
fn desired_value(desired: &Desired) -> Result<Option<String>, AwsError> {
    let properties = &desired.properties;
    match (
        properties.get("SecretString").and_then(scalar),
        properties.get("GenerateSecretString"),
    ) {
        (Some(_), Some(_)) => Err(AwsError::validation(
            "Invalid request provided: SecretString and GenerateSecretString exclude each other.",
        )),
        (Some(text), None) => Ok(Some(text)),
        (None, Some(options)) => generate::secret_string(options).map(Some),
        (None, None) => Ok(None),
    }
}

fn describe(secret: &mut Secret, desired: &Desired) {
    let text = |property: &str| desired.properties.get(property).and_then(scalar);
    secret.description = text("Description");
    secret.kms_key = text("KmsKeyId");
    let own = tags_of(&desired.properties["Tags"]);
    secret.inherited = desired
        .tags
        .iter()
        .map(|(key, _)| key.clone())
        .filter(|key| !own.contains_key(key))
        .collect();
    secret.tags = desired.tags.iter().cloned().collect();
    secret.tags.extend(own);
}

fn resource(secret: &Secret) -> Resource {
    Resource::new(&secret.arn).with("Id", secret.arn.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{context_with, create, desired};

    #[tokio::test]
    async fn a_changed_generator_makes_a_new_value_and_a_rollback_restores_the_old_one() {
        let (cx, _folder) = context_with(vec![crate::service::secretsmanager::service()]);
        let with = |length: u32| json!({"GenerateSecretString": {"PasswordLength": length}});
        let arn = create(&cx, "AWS::SecretsManager::Secret", "S", with(20))
            .await
            .unwrap()
            .physical_id;
        let read = async || {
            cx.call("secretsmanager", "GetSecretValue", json!({"SecretId": arn}))
                .await
                .unwrap()
        };
        let first = read().await["SecretString"].clone();

        SecretType
            .update(&cx, &arn, &with(20), &desired("S", with(24)))
            .await
            .unwrap();
        let second = read().await["SecretString"].clone();
        assert_eq!(
            (first.as_str().unwrap().len(), second.as_str().unwrap().len()),
            (20, 24)
        );
        let previous = json!({"SecretId": arn, "VersionStage": "AWSPREVIOUS"});
        assert_eq!(
            cx.call("secretsmanager", "GetSecretValue", previous).await.unwrap()["SecretString"],
            first
        );

        SecretType
            .update(&cx, &arn, &with(24), &desired("S", with(20)))
            .await
            .unwrap();
        assert_eq!(read().await["SecretString"], first);

        let state = std::fs::read(cx.state_dir().join("state.redb")).unwrap();
        let plain = first.as_str().unwrap().as_bytes();
        assert!(
            !state.windows(plain.len()).any(|window| window == plain),
            "the state contains the value in plain text"
        );
    }
}
