//! Fetching the keys and the ended sessions that auth-service publishes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;
use utoipa::ToSchema;
use uuid::Uuid;

/// Timeout of a fetch.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum size of a key set, in bytes.
const MAX_KEYS_BYTES: usize = 64 * 1024;
/// Maximum size of a list of ended sessions, in bytes: more than 400,000 of them.
const MAX_SESSIONS_BYTES: usize = 16 << 20;

/// Sessions that ended: ids only, nothing personal.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct RevokedSessions {
    /// Time of this response, in seconds since 1970 by the clock of the database; `since` of the next request is derived from it.
    pub until: i64,
    /// The `sid` of the tokens that are no longer valid.
    pub sessions: Vec<Uuid>,
}

/// Keys by their ids.
pub(super) type Keys = HashMap<String, Arc<DecodingKey>>;

/// The auth-service that publishes keys and ended sessions.
pub(super) struct Source {
    /// Base URL without a slash at its end.
    base: String,
    /// Keeps its connection open between two reads.
    client: Client<HttpConnector, Empty<Bytes>>,
}

/// A key set with undecoded entries: one of an unknown type must not make the others unusable (RFC 7517, 5).
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

impl Source {
    /// Returns the source of the auth-service at this base URL.
    pub(super) fn new(auth_service_url: &str) -> anyhow::Result<Self> {
        let base = auth_service_url.trim_end_matches('/').to_owned();
        let uri: Uri = format!("{base}/")
            .parse()
            .with_context(|| format!("AUTH_SERVICE_URL `{auth_service_url}` is not a URL"))?;
        anyhow::ensure!(
            uri.scheme_str() == Some("http") && uri.host().is_some(),
            "AUTH_SERVICE_URL `{auth_service_url}` must be http://host:port"
        );
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { base, client })
    }

    /// Fetches the sessions that ended since this time, in seconds since 1970; all of them for `None`.
    pub(super) async fn revoked_sessions(&self, since: Option<i64>) -> anyhow::Result<RevokedSessions> {
        let query = since.map(|since| format!("?since={since}")).unwrap_or_default();
        let (uri, body) = self
            .get(&format!("/revoked-sessions{query}"), MAX_SESSIONS_BYTES)
            .await?;
        serde_json::from_slice(&body).with_context(|| format!("{uri} did not return a list of sessions"))
    }

    /// Fetches the keys. A set without a usable key is an error, so that it does not replace the loaded keys.
    pub(super) async fn keys(&self) -> anyhow::Result<Keys> {
        let (uri, body) = self.get("/.well-known/jwks.json", MAX_KEYS_BYTES).await?;
        let set: Set = serde_json::from_slice(&body).with_context(|| format!("{uri} did not return a JWKS"))?;
        let known: Vec<Jwk> = set
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value(key).ok())
            .collect();
        let keys = usable(known.iter());
        anyhow::ensure!(!keys.is_empty(), "{uri} returned no key for ES256");
        Ok(keys)
    }

    async fn get(&self, path: &str, max_bytes: usize) -> anyhow::Result<(Uri, Bytes)> {
        let uri: Uri = format!("{}{path}", self.base).parse()?;
        let request = Request::get(uri.clone()).body(Empty::new())?;
        let body = timeout(TIMEOUT, async {
            let response = self.client.request(request).await?;
            anyhow::ensure!(response.status() == 200, "{uri} responded with {}", response.status());
            let body = Limited::new(response.into_body(), max_bytes).collect().await;
            Ok(body
                .map_err(|error| anyhow::anyhow!("{uri} closed the connection: {error}"))?
                .to_bytes())
        })
        .await
        .with_context(|| format!("{uri} did not respond within 3 s"))??;
        Ok((uri, body))
    }
}

/// Selects the keys that can verify a token: P-256, only for ES256 signatures, with an id.
pub(super) fn usable<'a>(keys: impl Iterator<Item = &'a Jwk>) -> Keys {
    keys.filter_map(|jwk| {
        let AlgorithmParameters::EllipticCurve(curve) = &jwk.algorithm else {
            return None;
        };
        let common = &jwk.common;
        let suitable = curve.curve == EllipticCurve::P256
            && matches!(common.public_key_use, None | Some(PublicKeyUse::Signature))
            && matches!(common.key_algorithm, None | Some(KeyAlgorithm::ES256));
        let id = common.key_id.clone().filter(|_| suitable)?;
        Some((id, Arc::new(DecodingKey::from_jwk(jwk).ok()?)))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::TestTokens;

    #[test]
    fn only_p256_keys_for_signatures_are_usable() {
        let good = serde_json::to_value(&TestTokens::new().jwks().keys[0]).expect("JSON");
        let with = |name: &str, value: Value| {
            let mut key = good.clone();
            key[name] = value;
            serde_json::from_value::<Jwk>(key).expect("a JWK")
        };
        let kid = good["kid"].clone();
        assert_eq!(usable([with("kid", kid)].iter()).len(), 1);
        for other in [
            with("use", json!("enc")),
            with("alg", json!("ES384")),
            with("crv", json!("P-384")),
            with("kid", Value::Null),
        ] {
            assert_eq!(usable([other].iter()).len(), 0);
        }
    }
}
