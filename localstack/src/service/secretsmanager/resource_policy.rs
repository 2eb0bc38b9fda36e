//! `AWS::SecretsManager::ResourcePolicy`.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::secret::get_active;
use crate::{AwsError, Context, Desired, Failure, Resource, ResourceType, Schema};

pub struct ResourcePolicy;

#[async_trait]
impl ResourceType for ResourcePolicy {
    fn name(&self) -> &'static str {
        "AWS::SecretsManager::ResourcePolicy"
    }

    fn schema(&self) -> Schema {
        Schema {
            properties: &["BlockPublicPolicy", "ResourcePolicy", "SecretId"],
            required: &["ResourcePolicy", "SecretId"],
            create_only: &["SecretId"],
            attributes: &["Id"],
            write_only: &["BlockPublicPolicy"],
        }
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let secret = get_active(cx, desired.properties["SecretId"].as_str().unwrap_or_default())?;
        if secret.policy.is_some() {
            let message = format!("The secret {} already has a resource policy.", secret.name);
            return Err(AwsError::new("ResourceExistsException", message).into());
        }
        desired.initiated.report(&secret.arn)?;
        put(cx, &secret.arn, desired).await
    }

    async fn update(&self, cx: &Context, arn: &str, _: &Value, desired: &Desired) -> Result<Resource, Failure> {
        put(cx, arn, desired).await
    }

    async fn delete(&self, cx: &Context, arn: &str, _: &Value) -> Result<(), Failure> {
        let deleted = cx
            .call("secretsmanager", "DeleteResourcePolicy", json!({"SecretId": arn}))
            .await;
        match deleted {
            Err(error) if error.code != "ResourceNotFoundException" => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn read(&self, cx: &Context, arn: &str) -> Result<Option<Value>, Failure> {
        let policy = get_active(cx, arn).ok().and_then(|secret| secret.policy);
        let policy: Option<Value> = policy.and_then(|policy| serde_json::from_str(&policy).ok());
        Ok(policy.map(|policy| json!({"SecretId": arn, "ResourcePolicy": policy})))
    }
}

async fn put(cx: &Context, arn: &str, desired: &Desired) -> Result<Resource, Failure> {
    let policy = &desired.properties["ResourcePolicy"];
    let mut input = json!({"SecretId": arn, "ResourcePolicy": policy.to_string()});
    if let Some(block) = desired.properties.get("BlockPublicPolicy") {
        input["BlockPublicPolicy"] = block.clone();
    }
    cx.call("secretsmanager", "PutResourcePolicy", input).await?;
    Ok(Resource::new(arn).with("Id", arn))
}
