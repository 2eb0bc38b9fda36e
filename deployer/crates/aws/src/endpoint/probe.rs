//! Probes which product answers at a URL.

use std::time::Duration;

use serde_json::{Value, json};

use crate::connectivity::{self, ConnectError, RESPONSE_TIMEOUT};
use crate::http;

/// Paths at which products that imitate LocalStack, or not, identify themselves.
const IDENTITIES: [(&str, &str); 3] = [
    ("ministack", "/_ministack/health"),
    ("fakecloud", "/_fakecloud/health"),
    ("moto", "/moto-api/config"),
];
/// Timeout of each of them; all are requested at once.
const IDENTITY_TIMEOUT: Duration = Duration::from_millis(500);

/// The result of a probe.
#[derive(Debug)]
pub enum Probe {
    /// An AWS endpoint, with its health document.
    Endpoint(Value),
    /// The connection failed.
    Nothing(ConnectError),
    /// Something else, with a description of its response.
    Other(String),
}

impl Probe {
    /// Returns whether this project's own endpoint answered.
    pub fn is_embedded(&self) -> bool {
        matches!(self, Self::Endpoint(health) if health["edition"] == "embedded")
    }

    /// Returns the health document of this project's own endpoint, if it answered.
    pub fn embedded(self) -> Option<Value> {
        let is_embedded = self.is_embedded();
        match self {
            Self::Endpoint(health) if is_embedded => Some(health),
            _ => None,
        }
    }
}

/// Requests the health document at a URL; ends within two seconds.
///
/// # Errors
/// The text is not a URL.
pub async fn probe(url: &str) -> Result<Probe, ConnectError> {
    match connectivity::connect(url).await {
        Ok(()) => {}
        Err(error @ ConnectError::InvalidUrl { .. }) => return Err(error),
        Err(error) => return Ok(Probe::Nothing(error)),
    }
    let found = match http::get(&format!("{url}/_localstack/health"), RESPONSE_TIMEOUT).await {
        Ok((200, body)) => match serde_json::from_str::<Value>(&body) {
            Ok(health) if health.get("services").is_some() => {
                return Ok(Probe::Endpoint(identified(url, health).await));
            }
            _ => "the response to /_localstack/health is not a health document".to_owned(),
        },
        Ok((status, _)) => format!("the response to /_localstack/health is HTTP {status}"),
        Err(error) => {
            let found = format!("it does not speak HTTP as an AWS endpoint does ({error})");
            return Ok(Probe::Other(found));
        }
    };
    Ok(match identity(url, &Value::Null).await {
        Some(health) => Probe::Endpoint(health),
        None => Probe::Other(found),
    })
}

/// Returns the health document with the product's name, unless the document itself identifies the product.
async fn identified(url: &str, health: Value) -> Value {
    let known = matches!(
        health["edition"].as_str(),
        Some("embedded" | "community" | "pro" | "enterprise")
    );
    if known {
        health
    } else {
        identity(url, &health).await.unwrap_or(health)
    }
}

async fn identity(url: &str, health: &Value) -> Option<Value> {
    let requests = IDENTITIES.map(|(product, path)| async move {
        match http::get(&format!("{url}{path}"), IDENTITY_TIMEOUT).await {
            Ok((200..=299, body)) => Some((product, serde_json::from_str::<Value>(&body).ok()?)),
            _ => None,
        }
    });
    let responses = futures::future::join_all(requests).await;
    let (product, document) = responses.into_iter().flatten().next()?;
    let version = health.get("version").or_else(|| document.get("version"));
    Some(json!({
        "product": product, "services": health["services"], "edition": health["edition"], "version": version,
    }))
}
