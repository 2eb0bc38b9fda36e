//! The values of a task definition's `secrets`: Secrets Manager secrets and SSM parameters.

use anyhow::{Context as _, anyhow, bail};
use serde_json::{Value, json};

use crate::Context;

/// Returns the value that a `valueFrom` refers to.
///
/// # Errors
/// The reference that cannot be resolved; never the value.
pub async fn value(cx: &Context, from: &str) -> anyhow::Result<String> {
    if let Some(rest) = from.strip_prefix("arn:")
        && rest.split(':').nth(1) == Some("secretsmanager")
    {
        return secret(cx, from).await;
    }
    let name = match from.split_once(":parameter") {
        Some((_, name)) if from.starts_with("arn:") => name,
        _ => from,
    };
    let response = match parameter(cx, name).await {
        Err(_) if name.starts_with('/') && from.starts_with("arn:") => parameter(cx, &name[1..]).await,
        response => response,
    };
    let response = response.map_err(|error| anyhow!("unable to retrieve the SSM parameter {name}: {error}"))?;
    let value = response.pointer("/Parameter/Value").and_then(Value::as_str);
    Ok(value
        .with_context(|| format!("the SSM parameter {name} has no value"))?
        .to_owned())
}

async fn parameter(cx: &Context, name: &str) -> Result<Value, crate::AwsError> {
    cx.call("ssm", "GetParameter", json!({"Name": name, "WithDecryption": true}))
        .await
}

/// Returns the value of a secret: `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME[:json-key:version-stage:version-id]`.
async fn secret(cx: &Context, from: &str) -> anyhow::Result<String> {
    let parts: Vec<&str> = from.split(':').collect();
    let arn = parts[..parts.len().min(7)].join(":");
    let part = |n: usize| parts.get(n).copied().filter(|p| !p.is_empty());
    let mut input = json!({"SecretId": arn});
    if let Some(stage) = part(8) {
        input["VersionStage"] = stage.into();
    }
    if let Some(version) = part(9) {
        input["VersionId"] = version.into();
    }
    let response = cx.call("secretsmanager", "GetSecretValue", input).await;
    let response = response.map_err(|error| anyhow!("unable to retrieve secret from asm: {arn}: {error}"))?;
    let text = response.get("SecretString").and_then(Value::as_str);
    let text = text.with_context(|| format!("the secret {arn} has no SecretString"))?;
    let Some(key) = part(7) else { return Ok(text.to_owned()) };
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        bail!("the secret {arn} is not a JSON object, so it has no key {key}");
    };
    match fields.get(key) {
        Some(Value::String(value)) => Ok(value.clone()),
        Some(other) => Ok(other.to_string()),
        None => bail!("retrieved secret from Secrets Manager did not contain json key {key}: {arn}"),
    }
}
