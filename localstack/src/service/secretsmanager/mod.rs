//! Secrets Manager: secrets and their versions, with encrypted values.

mod attachment;
mod filter;
mod generate;
mod operations;
mod resource_policy;
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
            Arc::new(resource_policy::ResourcePolicy),
            Arc::new(rotation::RotationSchedule),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        if call.operation == "RotateSecret" {
            return rotation::rotate(cx, &call).await;
        }
        if ["GetResourcePolicy", "PutResourcePolicy", "DeleteResourcePolicy"].contains(&call.operation.as_str()) {
            return resource_policy::call(cx, &call);
        }
        let lock = cx.shared::<WriteLock>();
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
            "UpdateSecretVersionStage" => operations::move_stage(cx, &call),
            "ReplicateSecretToRegions" | "RemoveRegionsFromReplication" => operations::replicate(cx, &call),
            "TagResource" | "UntagResource" => operations::tag(cx, &call),
            "GetRandomPassword" => Ok(json!({"RandomPassword": generate::password(&call.input)?})),
            other => Err(AwsError::not_implemented("secretsmanager", other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::context_with;

    #[tokio::test]
    async fn calls_can_be_repeated_and_labels_move() {
        let (cx, _folder) = context_with(vec![service()]);
        let call = async |operation: &'static str, input: Value| cx.call("secretsmanager", operation, input).await;
        let token = "11111111-2222-3333-4444-555555555555";
        let desired = |value: &str| json!({"Name": "s", "SecretString": value, "ClientRequestToken": token});
        let first = call("CreateSecret", desired("1")).await.unwrap();
        assert_eq!(call("CreateSecret", desired("1")).await.unwrap(), first);
        assert_eq!(
            call("CreateSecret", desired("2")).await.unwrap_err().code,
            "ResourceExistsException"
        );
        let described = call("DescribeSecret", json!({"SecretId": "s"})).await.unwrap();
        for member in ["Tags", "RotationEnabled", "LastAccessedDate"] {
            assert!(described.get(member).is_none(), "{member}");
        }
        let second = call("PutSecretValue", json!({"SecretId": "s", "SecretString": "2"}))
            .await
            .unwrap();
        let wrong = json!({"SecretId": "s", "VersionId": token, "VersionStage": "AWSCURRENT"});
        assert_eq!(
            call("GetSecretValue", wrong).await.unwrap_err().code,
            "InvalidRequestException"
        );
        let mut back = json!({"SecretId": "s", "VersionStage": "AWSCURRENT", "MoveToVersionId": token});
        let unnamed = call("UpdateSecretVersionStage", back.clone()).await.unwrap_err();
        assert_eq!(unnamed.code, "InvalidParameterException");
        back["RemoveFromVersionId"] = second["VersionId"].clone();
        call("UpdateSecretVersionStage", back).await.unwrap();
        assert_eq!(
            call("GetSecretValue", json!({"SecretId": "s"})).await.unwrap()["SecretString"],
            "1"
        );
        let described = call("DescribeSecret", json!({"SecretId": "s"})).await.unwrap();
        assert!(described["LastAccessedDate"].is_number());
        let previous = second["VersionId"].as_str().unwrap();
        assert_eq!(described["VersionIdsToStages"][previous], json!(["AWSPREVIOUS"]));

        let policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
        call("PutResourcePolicy", json!({"SecretId": "s", "ResourcePolicy": policy}))
            .await
            .unwrap();
        assert_eq!(
            call("GetResourcePolicy", json!({"SecretId": "s"})).await.unwrap()["ResourcePolicy"],
            policy
        );
        call("DeleteSecret", json!({"SecretId": "s"})).await.unwrap();
        let again = call("DeleteSecret", json!({"SecretId": "s"})).await.unwrap_err();
        assert_eq!(again.code, "InvalidRequestException");
        for name in ["s", "never-there"] {
            call(
                "DeleteSecret",
                json!({"SecretId": name, "ForceDeleteWithoutRecovery": true}),
            )
            .await
            .unwrap();
        }
        let missing = call("DeleteSecret", json!({"SecretId": "never-there"}))
            .await
            .unwrap_err();
        assert_eq!(missing.code, "ResourceNotFoundException");
    }
}
