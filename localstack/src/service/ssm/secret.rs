//! Secrets as parameters: `/aws/reference/secretsmanager/ID` ("Referencing AWS Secrets Manager secrets from Parameter Store
//! parameters").

use serde_json::{Value, json};

use crate::service::Call;
use crate::{AwsError, Context};

const PREFIX: &str = "/aws/reference/secretsmanager/";

/// Answers `GetParameter` for the name of a secret; `None` for another name.
///
/// # Errors
/// `ValidationException` without decryption, and `ParameterNotFound` for an unknown secret.
pub async fn get(cx: &Context, call: &Call) -> Result<Option<Value>, AwsError> {
    let name = call.text("Name").unwrap_or_default();
    let Some(id) = name.strip_prefix(PREFIX) else {
        return Ok(None);
    };
    if call.boolean("WithDecryption") != Some(true) {
        let message = "WithDecryption flag must be True for retrieving a Secret Manager secret.";
        return Err(AwsError::new("ValidationException", message));
    }
    // After the name or the ARN, which has seven parts: a version's id or its stage.
    let parts = if id.starts_with("arn:") { 7 } else { 1 };
    let (id, selector) = match id.match_indices(':').nth(parts - 1) {
        Some((at, _)) => (&id[..at], Some(&id[at + 1..])),
        None => (id, None),
    };
    let mut input = json!({"SecretId": id});
    if let Some(selector) = selector {
        let is_id = uuid::Uuid::parse_str(selector).is_ok();
        input[if is_id { "VersionId" } else { "VersionStage" }] = selector.into();
    }
    let missing = |error: AwsError| {
        if error.code != "ResourceNotFoundException" {
            return error;
        }
        let message =
            format!("An error occurred (ParameterNotFound) when referencing Secrets Manager: Secret {name} not found.");
        AwsError::new("ParameterNotFound", message)
    };
    let secret = cx
        .call("secretsmanager", "GetSecretValue", input)
        .await
        .map_err(missing)?;
    let described = json!({"SecretId": id});
    let mut source = cx
        .call("secretsmanager", "DescribeSecret", described)
        .await
        .map_err(missing)?;
    source["CreatedDate"] = secret["CreatedDate"].clone();
    let selector = selector.map(|selector| format!(":{selector}"));
    let mut shown = json!({
        "Name": secret["Name"], "Type": "SecureString", "Value": secret["SecretString"], "Version": 0,
        "SourceResult": source.to_string(), "LastModifiedDate": secret["CreatedDate"], "ARN": secret["ARN"],
        "DataType": "text",
    });
    if let Some(selector) = selector {
        shown["Selector"] = selector.into();
    }
    Ok(Some(json!({"Parameter": shown})))
}
