//! `AWS::SecretsManager::RotationSchedule`: refused, since rotation is a Lambda function's work.

use async_trait::async_trait;
use serde_json::Value;

use crate::{Context, Desired, Failure, Resource, ResourceType, Schema};

pub const REFUSAL: &str = "Rotation needs a Lambda function, and the embedded endpoint has no Lambda: leave the rotation \
                           schedule out for this endpoint, or put a new value with PutSecretValue.";

pub struct RotationSchedule;

#[async_trait]
impl ResourceType for RotationSchedule {
    fn name(&self) -> &'static str {
        "AWS::SecretsManager::RotationSchedule"
    }

    fn schema(&self) -> Schema {
        Schema {
            properties: &[
                "SecretId",
                "RotationLambdaARN",
                "RotationRules",
                "RotateImmediatelyOnUpdate",
                "HostedRotationLambda",
                "ExternalSecretRotationMetadata",
                "ExternalSecretRotationRoleArn",
            ],
            required: &["SecretId"],
            create_only: &["SecretId"],
            attributes: &["Id"],
            ..Schema::default()
        }
    }

    async fn create(&self, _cx: &Context, _desired: &Desired) -> Result<Resource, Failure> {
        Err(Failure::new(REFUSAL))
    }

    async fn update(&self, _: &Context, _: &str, _: &Value, _: &Desired) -> Result<Resource, Failure> {
        Err(Failure::new(REFUSAL))
    }

    async fn delete(&self, _cx: &Context, _physical_id: &str, _properties: &Value) -> Result<(), Failure> {
        Ok(())
    }
}
