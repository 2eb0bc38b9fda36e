//! Fetching the key set that auth-service publishes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

/// Timeout of a fetch.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum size of a key set, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Keys by their ids.
pub(super) type Keys = HashMap<String, Arc<DecodingKey>>;

/// The address of the key set.
pub(super) struct Source(Uri);

/// A key set with undecoded entries: one of an unknown type must not make the others unusable (RFC 7517, 5).
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

impl Source {
    /// Returns the source of the auth-service at this base URL.
    pub(super) fn new(auth_service_url: &str) -> anyhow::Result<Self> {
        let url = format!("{}/.well-known/jwks.json", auth_service_url.trim_end_matches('/'));
        let uri: Uri = url
            .parse()
            .with_context(|| format!("AUTH_SERVICE_URL `{auth_service_url}` is not a URL"))?;
        anyhow::ensure!(
            uri.scheme_str() == Some("http") && uri.host().is_some(),
            "AUTH_SERVICE_URL `{auth_service_url}` must be http://host:port"
        );
        Ok(Self(uri))
    }

    /// Fetches the keys. A set without a usable key is an error, so that it does not replace the loaded keys.
    pub(super) async fn fetch(&self) -> anyhow::Result<Keys> {
        let Self(uri) = self;
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let request = Request::get(uri.clone()).body(Empty::new())?;
        let body = timeout(TIMEOUT, async {
            let response = client.request(request).await?;
            anyhow::ensure!(response.status() == 200, "{uri} responded with {}", response.status());
            let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
            Ok(body
                .map_err(|error| anyhow::anyhow!("{uri} closed the connection: {error}"))?
                .to_bytes())
        })
        .await
        .with_context(|| format!("{uri} did not respond within 3 s"))??;
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
