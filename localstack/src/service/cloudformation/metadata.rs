//! `AWS::CDK::Metadata`, a resource without effect that is in every template of the AWS CDK.

use async_trait::async_trait;
use serde_json::Value;

use crate::{Context, Desired, Failure, Resource, ResourceType, Schema};

/// The resource type.
pub struct Metadata;

#[async_trait]
impl ResourceType for Metadata {
    fn name(&self) -> &'static str {
        "AWS::CDK::Metadata"
    }

    fn schema(&self) -> Schema {
        Schema {
            properties: &["Analytics", "Modules"],
            ..Schema::default()
        }
    }

    async fn create(&self, _: &Context, _: &Desired) -> Result<Resource, Failure> {
        Ok(Resource::new(uuid::Uuid::new_v4().to_string()))
    }

    async fn update(&self, _: &Context, physical_id: &str, _: &Value, _: &Desired) -> Result<Resource, Failure> {
        Ok(Resource::new(physical_id))
    }

    async fn delete(&self, _: &Context, _: &str, _: &Value) -> Result<(), Failure> {
        Ok(())
    }
}
