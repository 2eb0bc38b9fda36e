//! Rotation: of the secrets that RDS manages. Any other needs a Lambda function and is rejected.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::secret::{Secret, get_active};
use crate::service::Call;
use crate::{AwsError, Context, Desired, Failure, Resource, ResourceType, Schema};

/// The tags of a secret that RDS manages.
const OWNING_SERVICE: &str = "aws:secretsmanager:owningService";
const DB_INSTANCE: &str = "aws:rds:primaryDBInstanceArn";

const UNSUPPORTED: &str = "The embedded endpoint does not support rotation, since it has no Lambda functions. Omit the \
                               rotation schedule for this endpoint, or change the value with PutSecretValue.";

/// Returns the service that manages a secret, such as `rds`.
pub fn owner(secret: &Secret) -> Option<&str> {
    secret.tags.get(OWNING_SERVICE).map(String::as_str)
}

/// Rotates a secret that RDS manages, and returns when its new value is current.
///
/// # Errors
/// `InvalidRequestException` for a secret that RDS does not manage, and for members other than those that such a secret takes.
pub async fn rotate(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let id = call.required("SecretId")?;
    let secret = get_active(cx, &id)?;
    check(call)?;
    let members = call.input.as_object().into_iter().flat_map(Map::keys);
    let mut others =
        members.filter(|member| !["SecretId", "ClientRequestToken", "RotateImmediately"].contains(&member.as_str()));
    let instance = secret.tags.get(DB_INSTANCE).and_then(|arn| arn.rsplit(':').next());
    let (Some("rds"), Some(instance)) = (owner(&secret), instance) else {
        return Err(AwsError::new("InvalidRequestException", UNSUPPORTED));
    };
    if let Some(other) = others.next() {
        return Err(AwsError::not_implemented(
            "secretsmanager",
            &format!("RotateSecret with {other}"),
        ));
    }
    if call.boolean("RotateImmediately") != Some(false) {
        let input =
            json!({"DBInstanceIdentifier": instance, "RotateMasterUserPassword": "true", "ApplyImmediately": "true"});
        cx.call("rds", "ModifyDBInstance", input).await?;
    }
    let secret = get_active(cx, &id)?;
    let version = secret.version(None, None)?.id.clone();
    Ok(json!({"ARN": secret.arn, "Name": secret.name, "VersionId": version}))
}

/// Checks the lengths and ranges of the members.
fn check(call: &Call) -> Result<(), AwsError> {
    let invalid = |message: &str| Err(AwsError::new("InvalidParameterException", message));
    let token = call.text("ClientRequestToken");
    if token.is_some_and(|token| !(32..=64).contains(&token.len())) {
        return invalid("ClientRequestToken must be 32-64 characters long.");
    }
    let days = call.input["RotationRules"]["AutomaticallyAfterDays"].as_i64();
    if days.is_some_and(|days| !(1..=1000).contains(&days)) {
        return invalid("RotationRules.AutomaticallyAfterDays must be within 1-1000.");
    }
    Ok(())
}

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
