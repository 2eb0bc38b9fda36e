//! The CloudFormation API.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::{AwsError, Call, Context, Service};

struct CloudFormation;

pub fn service() -> Arc<dyn Service> {
    Arc::new(CloudFormation)
}

#[async_trait]
impl Service for CloudFormation {
    fn name(&self) -> &'static str {
        "cloudformation"
    }

    async fn call(&self, _cx: &Context, call: Call) -> Result<Value, AwsError> {
        Err(AwsError::not_implemented("cloudformation", &call.operation))
    }
}
