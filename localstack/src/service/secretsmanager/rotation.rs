//! `AWS::SecretsManager::RotationSchedule`, which is rejected because rotation needs a Lambda function.

use async_trait::async_trait;
use serde_json::Value;

use crate::{Context, Desired, Failure, Resource, ResourceType, Schema};

pub const UNSUPPORTED: &str = "The embedded endpoint does not support rotation, since it has no Lambda functions. Omit the \
                               rotation schedule for this endpoint, or change the value with PutSecretValue.";

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
        Err(Failure::new(UNSUPPORTED))
    }

    async fn update(&self, _: &Context, _: &str, _: &Value, _: &Desired) -> Result<Resource, Failure> {
        Err(Failure::new(UNSUPPORTED))
    }

    async fn delete(&self, _cx: &Context, _physical_id: &str, _properties: &Value) -> Result<(), Failure> {
        Ok(())
    }
}
