//! The verifier and its cache of published keys.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    jwk::{AlgorithmParameters, EllipticCurve, JwkSet},
};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Claims, ISSUER, TokenError, failure};

/// An unknown key id asks auth-service again, but not more often than this.
const REFETCH_PAUSE: Duration = Duration::from_secs(10);
/// How often the keys are read without any reason, so that withdrawn ones go.
const REFRESH: Duration = Duration::from_secs(300);
/// Seconds that clocks may differ.
const LEEWAY: u64 = 30;

/// Checks access tokens; cheap to clone.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    /// None when the keys are given, not fetched.
    source: Option<Uri>,
    rules: Validation,
    keys: RwLock<HashMap<String, Arc<DecodingKey>>>,
    fetched: Mutex<Option<Instant>>,
}

impl Verifier {
    /// A verifier that fetches the keys of the auth-service at this base URL when it first needs them.
    ///
    /// # Errors
    /// When the URL is malformed.
    pub fn new(auth_service_url: &str, audience: &str) -> anyhow::Result<Self> {
        let url = format!("{}/.well-known/jwks.json", auth_service_url.trim_end_matches('/'));
        let source: Uri = url
            .parse()
            .with_context(|| format!("AUTH_SERVICE_URL `{auth_service_url}` is not a URL"))?;
        anyhow::ensure!(
            source.scheme_str() == Some("http") && source.host().is_some(),
            "AUTH_SERVICE_URL `{auth_service_url}` must be http://host:port"
        );
        Ok(Self::build(Some(source), audience))
    }

    /// A verifier whose keys are given with [`Verifier::set_keys`]: auth-service itself, and tests.
    pub fn local(audience: &str) -> Self {
        Self::build(None, audience)
    }

    /// A verifier with these keys and no others.
    pub fn from_jwks(jwks: &JwkSet, audience: &str) -> Self {
        let verifier = Self::local(audience);
        verifier.set_keys(jwks);
        verifier
    }

    fn build(source: Option<Uri>, audience: &str) -> Self {
        let mut rules = Validation::new(Algorithm::ES256);
        rules.leeway = LEEWAY;
        rules.validate_nbf = true;
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[audience]);
        rules.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        Self(Arc::new(Inner {
            source,
            rules,
            keys: RwLock::default(),
            fetched: Mutex::default(),
        }))
    }

    /// Replaces the known keys; what is not a P-256 key with an id is left out.
    pub fn set_keys(&self, jwks: &JwkSet) {
        let keys = jwks.keys.iter().filter_map(|jwk| {
            let AlgorithmParameters::EllipticCurve(curve) = &jwk.algorithm else {
                return None;
            };
            let p256 = curve.curve == EllipticCurve::P256;
            let id = jwk.common.key_id.clone().filter(|_| p256)?;
            Some((id, Arc::new(DecodingKey::from_jwk(jwk).ok()?)))
        });
        *self.0.keys.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = keys.collect();
    }

    /// Whether any key is known.
    pub fn loaded(&self) -> bool {
        !self
            .0
            .keys
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .is_empty()
    }

    /// A readiness check for [`crate::Server`].
    ///
    /// # Errors
    /// As long as no key was loaded.
    pub fn check(&self) -> Result<(), String> {
        if self.loaded() {
            Ok(())
        } else {
            Err(TokenError::Unavailable.to_string())
        }
    }

    /// Gives the claims of a token that holds: signature, times, issuer and audience.
    ///
    /// # Errors
    /// [`TokenError::Invalid`], or [`TokenError::Unavailable`] while no key was ever loaded.
    pub async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let header = decode_header(token).map_err(|_| failure::invalid("malformed"))?;
        if header.alg != Algorithm::ES256 {
            return Err(failure::invalid("algorithm"));
        }
        let id = header.kid.ok_or_else(|| failure::invalid("unknown_key"))?;
        let key = match self.key(&id) {
            Some(key) => key,
            None => {
                self.refetch().await;
                self.key(&id).ok_or_else(|| {
                    if self.loaded() {
                        failure::invalid("unknown_key")
                    } else {
                        failure::unavailable()
                    }
                })?
            }
        };
        decode::<Claims>(token, &key, &self.0.rules)
            .map(|token| token.claims)
            .map_err(|error| failure::refused(&error))
    }

    /// Loads the keys and keeps them fresh until `shutdown`; run it as a background of the server.
    pub async fn keep_fresh(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        loop {
            let pause = match self.fetch().await {
                Ok(()) => REFRESH,
                Err(error) if self.loaded() => {
                    tracing::warn!(error = %error, "the signing keys could not be refreshed; the known ones are kept");
                    Duration::from_secs(30)
                }
                Err(error) => {
                    tracing::debug!(error = %error, "auth-service does not give its keys yet");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = sleep(pause) => {}
            }
        }
    }

    fn key(&self, id: &str) -> Option<Arc<DecodingKey>> {
        self.0
            .keys
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .get(id)
            .cloned()
    }

    /// Fetches the keys unless that was tried a moment ago; callers that come meanwhile wait for the one fetch.
    async fn refetch(&self) {
        let mut fetched = self.0.fetched.lock().await;
        let pause = if self.loaded() {
            REFETCH_PAUSE
        } else {
            Duration::from_secs(1)
        };
        if fetched.is_some_and(|at| at.elapsed() < pause) {
            return;
        }
        if let Err(error) = self.fetch().await {
            tracing::warn!(error = %error, "the signing keys could not be fetched");
        }
        *fetched = Some(Instant::now());
    }

    async fn fetch(&self) -> anyhow::Result<()> {
        let Some(source) = &self.0.source else { return Ok(()) };
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let request = Request::get(source.clone()).body(Empty::new())?;
        let body = timeout(Duration::from_secs(3), async {
            let response = client.request(request).await?;
            anyhow::ensure!(response.status() == 200, "{source} answered {}", response.status());
            let body = Limited::new(response.into_body(), 64 * 1024).collect().await;
            Ok(body
                .map_err(|error| anyhow::anyhow!("{source} broke off: {error}"))?
                .to_bytes())
        })
        .await
        .with_context(|| format!("{source} did not answer within 3 s"))??;
        let jwks: JwkSet = serde_json::from_slice(&body).with_context(|| format!("{source} gave no JWKS"))?;
        anyhow::ensure!(!jwks.keys.is_empty(), "{source} gave no keys");
        self.set_keys(&jwks);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Role, testing::TestTokens};

    #[tokio::test]
    async fn a_token_holds_for_its_audience_and_its_time_only() {
        let tokens = TestTokens::new();
        let verifier = tokens.verifier();
        let token = tokens.token(Role::Admin);
        assert_eq!(verifier.verify(&token).await.expect("a good token").role, Role::Admin);

        let elsewhere = Verifier::from_jwks(&tokens.jwks(), "another-project");
        assert_eq!(elsewhere.verify(&token).await.unwrap_err(), TokenError::Invalid);
        let stranger = TestTokens::new().token(Role::Admin);
        assert_eq!(verifier.verify(&stranger).await.unwrap_err(), TokenError::Invalid);
        let old = tokens.sign(&Claims {
            exp: 1_700_000_000,
            ..tokens.claims(Role::User)
        });
        assert_eq!(verifier.verify(&old).await.unwrap_err(), TokenError::Invalid);
        let early = tokens.sign(&Claims {
            nbf: 4_000_000_000,
            ..tokens.claims(Role::User)
        });
        assert_eq!(verifier.verify(&early).await.unwrap_err(), TokenError::Invalid);
    }

    #[tokio::test]
    async fn an_unsigned_token_is_refused_and_no_keys_is_told_apart() {
        let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4Iiwicm9sZSI6IkFETUlOIiwiZXhwIjo5OTk5OTk5OTk5fQ.";
        let tokens = TestTokens::new();
        assert_eq!(tokens.verifier().verify(none).await.unwrap_err(), TokenError::Invalid);
        let empty = Verifier::local("patient-management");
        assert_eq!(
            empty.verify(&tokens.token(Role::User)).await.unwrap_err(),
            TokenError::Unavailable
        );
    }
}
