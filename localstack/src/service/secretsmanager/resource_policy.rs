//! `AWS::SecretsManager::ResourcePolicy` and the operations on resource policies. Policies are stored, and not evaluated.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::secret::get;
use crate::records::{WriteLock, scalar};
use crate::service::Call;
use crate::service::input::only;
use crate::{AwsError, Context, Desired, Failure, Resource, ResourceType, Schema};

pub struct ResourcePolicy;

#[async_trait]
impl ResourceType for ResourcePolicy {
    fn name(&self) -> &'static str {
        "AWS::SecretsManager::ResourcePolicy"
    }

    fn schema(&self) -> Schema {
        Schema {
            properties: &["SecretId", "ResourcePolicy", "BlockPublicPolicy"],
            required: &["SecretId", "ResourcePolicy"],
            create_only: &["SecretId"],
            attributes: &["Id"],
            write_only: &["BlockPublicPolicy"],
        }
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let secret = desired.properties.get("SecretId").and_then(scalar).unwrap_or_default();
        let policy = match &desired.properties["ResourcePolicy"] {
            Value::String(text) => text.clone(),
            document => document.to_string(),
        };
        let blocks_public = desired.properties.get("BlockPublicPolicy").and_then(scalar);
        check(&policy, blocks_public.as_deref())?;
        let arn = get(cx, &secret)?.arn;
        desired.initiated.report(&arn)?;
        set(cx, &arn, Some(policy))?;
        Ok(Resource::new(&arn).with("Id", arn))
    }

    async fn update(&self, cx: &Context, _id: &str, _previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        let unreported = Desired {
            initiated: crate::Initiated::default(),
            ..desired.clone()
        };
        self.create(cx, &unreported).await
    }

    async fn delete(&self, cx: &Context, physical_id: &str, _properties: &Value) -> Result<(), Failure> {
        match set(cx, physical_id, None) {
            Err(error) if error.code == "ResourceNotFoundException" => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    async fn read(&self, cx: &Context, physical_id: &str) -> Result<Option<Value>, Failure> {
        let policy = get(cx, physical_id).ok().and_then(|secret| secret.policy);
        Ok(policy.map(|text| {
            let document: Value = serde_json::from_str(&text).unwrap_or_default();
            json!({"SecretId": physical_id, "ResourcePolicy": document})
        }))
    }
}

/// Replaces or removes the policy of a secret, and returns its name and ARN.
fn set(cx: &Context, secret: &str, policy: Option<String>) -> Result<Value, AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let mut secret = get(cx, secret)?;
    secret.policy = policy;
    secret.store(cx)?;
    Ok(json!({"ARN": secret.arn, "Name": secret.name}))
}

/// Checks a policy, and that it is not public if the caller blocks this.
fn check(policy: &str, blocks_public: Option<&str>) -> Result<(), AwsError> {
    let document: Value = serde_json::from_str(policy).unwrap_or_default();
    let statements = match &document["Statement"] {
        Value::Array(list) => list.iter().collect(),
        Value::Null => {
            let message = "This resource policy contains invalid Json or no statements.";
            return Err(AwsError::new("MalformedPolicyDocumentException", message));
        }
        one => vec![one],
    };
    let is_public = |statement: &&Value| {
        let principal = statement["Principal"].get("AWS").unwrap_or(&statement["Principal"]);
        statement["Effect"] == "Allow" && *principal == "*" && statement.get("Condition").is_none()
    };
    if blocks_public == Some("true") && statements.iter().any(is_public) {
        let message = "The resource policy grants access to everyone, and BlockPublicPolicy is true.";
        return Err(AwsError::new("PublicPolicyException", message));
    }
    Ok(())
}

/// `GetResourcePolicy`, `PutResourcePolicy` and `DeleteResourcePolicy`.
pub fn call(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let id = call.required("SecretId")?;
    match call.operation.as_str() {
        "GetResourcePolicy" => {
            let secret = get(cx, &id)?;
            let mut response = json!({"ARN": secret.arn, "Name": secret.name});
            if let Some(policy) = secret.policy {
                response["ResourcePolicy"] = policy.into();
            }
            Ok(response)
        }
        "PutResourcePolicy" => {
            let members = ["SecretId", "ResourcePolicy", "BlockPublicPolicy"];
            only(call, "InvalidParameterException", &members)?;
            get(cx, &id)?;
            let policy = call.required("ResourcePolicy")?;
            check(&policy, call.text("BlockPublicPolicy").as_deref())?;
            set(cx, &id, Some(policy))
        }
        _ => set(cx, &id, None),
    }
}
