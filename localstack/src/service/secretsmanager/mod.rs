//! Secrets Manager: secrets and their versions, with encrypted values.

mod attachment;
mod generate;
mod operations;
mod rotation;
mod secret;
mod template;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::records::WriteLock;
use crate::service::Call;
use crate::{AwsError, Context, ResourceType, Service};

pub fn service() -> Arc<dyn Service> {
    Arc::new(SecretsManager)
}

struct SecretsManager;

#[async_trait]
impl Service for SecretsManager {
    fn name(&self) -> &'static str {
        "secretsmanager"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![
            Arc::new(template::SecretType),
            Arc::new(attachment::SecretTargetAttachment),
            Arc::new(rotation::RotationSchedule),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        if call.operation == "RotateSecret" {
            return rotation::rotate(cx, &call).await;
        }
        let lock = cx.extension::<WriteLock>();
        let _guard = lock.lock();
        match call.operation.as_str() {
            "CreateSecret" => operations::create(cx, &call),
            "DeleteSecret" => operations::delete(cx, &call),
            "RestoreSecret" => operations::restore(cx, &call),
            "UpdateSecret" => operations::update(cx, &call),
            "PutSecretValue" => operations::put_value(cx, &call),
            "GetSecretValue" => operations::get_value(cx, &call),
            "BatchGetSecretValue" => operations::batch_get(cx, &call),
            "DescribeSecret" => operations::describe(cx, &call),
            "ListSecrets" => operations::list(cx, &call),
            "ListSecretVersionIds" => operations::versions(cx, &call),
            "TagResource" | "UntagResource" => operations::tag(cx, &call),
            "GetRandomPassword" => Ok(json!({"RandomPassword": generate::password(&call.input)?})),
            other => Err(AwsError::not_implemented("secretsmanager", other)),
        }
    }
}
