//! Dynamic references: `{{resolve:secretsmanager:…}}`, `{{resolve:ssm:…}}`.

use std::sync::LazyLock;

use futures::future::BoxFuture;
use regex::Regex;
use serde_json::{Value, json};

use endpoint_core::{Context, Failure};

static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\{\{resolve:(ssm|ssm-secure|secretsmanager):([^{}]+)\}\}").expect("the pattern is valid")
});

/// Returns true if a value contains a dynamic reference.
pub fn is_in(value: &Value) -> bool {
    match value {
        Value::String(text) => REFERENCE.is_match(text),
        Value::Array(list) => list.iter().any(is_in),
        Value::Object(object) => object.values().any(is_in),
        _ => false,
    }
}

/// Resolves the dynamic references in a value. Only resource types receive the result: it is never stored or shown.
///
/// # Errors
/// When a secret or a parameter does not exist or cannot be read.
pub fn resolve<'a>(cx: &'a Context, value: &'a Value) -> BoxFuture<'a, Result<Value, Failure>> {
    Box::pin(async move {
        Ok(match value {
            Value::String(source) if REFERENCE.is_match(source) => Value::String(text(cx, source).await?),
            Value::Array(list) => {
                let mut values = Vec::with_capacity(list.len());
                for item in list {
                    values.push(resolve(cx, item).await?);
                }
                Value::Array(values)
            }
            Value::Object(object) => {
                let mut values = serde_json::Map::new();
                for (name, item) in object {
                    values.insert(name.clone(), resolve(cx, item).await?);
                }
                Value::Object(values)
            }
            other => other.clone(),
        })
    })
}

async fn text(cx: &Context, source: &str) -> Result<String, Failure> {
    let (mut resolved, mut last) = (String::new(), 0);
    for found in REFERENCE.captures_iter(source) {
        let (all, service, reference) = (found.get(0).expect("group 0 is the match"), &found[1], &found[2]);
        resolved.push_str(&source[last..all.start()]);
        resolved.push_str(&match service {
            "secretsmanager" => secret(cx, reference).await?,
            _ => parameter(cx, reference, service == "ssm-secure").await?,
        });
        last = all.end();
    }
    resolved.push_str(&source[last..]);
    Ok(resolved)
}

/// Resolves `secret-id:SecretString:json-key:version-stage:version-id`, where the id may be an ARN.
async fn secret(cx: &Context, reference: &str) -> Result<String, Failure> {
    let parts: Vec<&str> = reference.split(':').collect();
    let id_parts = if parts[0] == "arn" { 7.min(parts.len()) } else { 1 };
    let id = parts[..id_parts].join(":");
    let rest = |n: usize| parts.get(id_parts + n).copied().filter(|p| !p.is_empty());
    if rest(0).is_some_and(|kind| kind != "SecretString") {
        return Err(Failure::new(format!(
            "Invalid dynamic reference for secret {id}: only SecretString can be resolved"
        )));
    }
    let mut input = json!({"SecretId": id});
    if let Some(stage) = rest(2) {
        input["VersionStage"] = stage.into();
    }
    if let Some(version) = rest(3) {
        input["VersionId"] = version.into();
    }
    let response = cx
        .call("secretsmanager", "GetSecretValue", input)
        .await
        .map_err(|error| {
            Failure::new(format!(
                "Could not resolve the dynamic reference to the secret {id}: {} ({})",
                error.message, error.code
            ))
        })?;
    let value = response["SecretString"].as_str().unwrap_or_default();
    let Some(key) = rest(1) else {
        return Ok(value.to_owned());
    };
    let fields: Option<Value> = serde_json::from_str(value).ok();
    let field = fields.as_ref().and_then(|f| f.get(key)).and_then(crate::scope::text);
    field.ok_or_else(|| {
        Failure::new(format!(
            "Could not find a value associated with JSONKey {key} in the secret {id}"
        ))
    })
}

async fn parameter(cx: &Context, reference: &str, is_secure: bool) -> Result<String, Failure> {
    let input = json!({"Name": reference, "WithDecryption": is_secure});
    let response = cx.call("ssm", "GetParameter", input).await.map_err(|error| {
        Failure::new(format!(
            "Unable to fetch parameters [{reference}] from parameter store for this account ({}).",
            error.code
        ))
    })?;
    if response["Parameter"]["Type"] == "SecureString" && !is_secure {
        return Err(Failure::new(format!(
            "Non-secure reference is not supported for the SecureString parameter {reference}; use ssm-secure"
        )));
    }
    Ok(response["Parameter"]["Value"].as_str().unwrap_or_default().to_owned())
}
