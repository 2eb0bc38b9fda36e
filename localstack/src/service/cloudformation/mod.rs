//! The CloudFormation API; its engine is in [`crate::cloudformation`].

mod metadata;
mod nested_stack;
pub mod wait_condition;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::cloudformation::{api, engine};
use crate::service::s3::{self, Address};
use crate::{AwsError, Call, Context, ResourceType, Service};

struct CloudFormation;

/// Returns the service; its engine is a separate crate.
pub fn service() -> Arc<dyn Service> {
    Arc::new(CloudFormation)
}

#[async_trait]
impl Service for CloudFormation {
    fn name(&self) -> &'static str {
        "cloudformation"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![
            Arc::new(metadata::Metadata),
            Arc::new(nested_stack::NestedStack),
            Arc::new(wait_condition::WaitConditionHandle),
            Arc::new(wait_condition::WaitCondition),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        api::handle(cx, &call, read_object).await
    }

    async fn start(&self, cx: &Context) -> anyhow::Result<()> {
        engine::recover(cx)
    }

    async fn stop(&self, cx: &Context) {
        engine::stop_all(cx).await;
    }
}

/// Reads an object of this endpoint's S3. Its URL may be that of this endpoint or of AWS, or `s3://BUCKET/KEY`.
fn read_object(cx: &Context, url: &str) -> Result<Option<Vec<u8>>, AwsError> {
    let address = match url.strip_prefix("s3://").and_then(|path| path.split_once('/')) {
        Some((bucket, key)) => Some(Address {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        }),
        None => Address::of_url(url),
    };
    address.map(|address| s3::read(cx, &address)).transpose()
}
