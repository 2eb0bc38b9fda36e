//! The verifier and its cache of published keys.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use parking_lot::RwLock;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    Claims, ISSUER, TokenError, failure,
    revocations::Revocations,
    source::{self, Keys, Source},
};

/// Minimum time between two fetches because of an unknown key id, so that invented ids cannot flood auth-service.
const REFETCH_PAUSE: Duration = Duration::from_secs(10);
/// Interval of regular fetches: withdrawn keys are forgotten, and new ones are known before they sign.
pub const REFRESH_INTERVAL: Duration = Duration::from_mins(5);
/// Pause after the first failed fetch; each further failure doubles it, up to the maximum.
const MIN_RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(30);
/// Maximum pause until the first keys are loaded: requests wait for them. A name that was asked for before auth-service had
/// registered does not exist for a resolver until its negative answer expires, after the SOA's TTL.
const MAX_FIRST_RETRY: Duration = Duration::from_secs(2);
/// Tolerated clock skew in seconds.
pub const LEEWAY: u64 = 30;
/// Maximum length of a token; auth-service issues shorter ones, and longer ones are not decoded.
const MAX_TOKEN_BYTES: usize = 4096;

/// Verifies access tokens; cheap to clone.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    /// `None` if the keys are set, not fetched.
    source: Option<Source>,
    rules: Validation,
    keys: RwLock<Keys>,
    revocations: Revocations,
    fetched: Mutex<Option<Instant>>,
}

impl Verifier {
    /// Creates a verifier that fetches the keys of the auth-service at this base URL when it first needs them.
    ///
    /// # Errors
    /// If the URL is malformed.
    pub fn new(auth_service_url: &str, audience: &str) -> anyhow::Result<Self> {
        Ok(Self::build(Some(Source::new(auth_service_url)?), audience))
    }

    /// Creates a verifier whose keys are set with [`Verifier::set_keys`], for auth-service itself and tests.
    pub fn local(audience: &str) -> Self {
        Self::build(None, audience)
    }

    /// Creates a verifier with these keys only.
    pub fn from_jwks(jwks: &JwkSet, audience: &str) -> Self {
        let verifier = Self::local(audience);
        verifier.set_keys(jwks);
        verifier
    }

    fn build(source: Option<Source>, audience: &str) -> Self {
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
            revocations: Revocations::default(),
            fetched: Mutex::default(),
        }))
    }

    /// Replaces the keys; keys other than P-256 keys for ES256 signatures with an id are ignored.
    pub fn set_keys(&self, jwks: &JwkSet) {
        self.replace(source::usable(jwks.keys.iter()));
    }

    /// Returns whether any key is loaded.
    pub fn loaded(&self) -> bool {
        !self.0.keys.read().is_empty()
    }

    /// Checks that keys are loaded, as a readiness check.
    ///
    /// # Errors
    /// [`TokenError::Unavailable`] until the first key is loaded.
    pub fn check(&self) -> Result<(), TokenError> {
        if self.loaded() {
            Ok(())
        } else {
            Err(TokenError::Unavailable)
        }
    }

    /// Verifies signature, times, issuer, audience and session of a token, and returns its claims.
    ///
    /// # Errors
    /// [`TokenError::Invalid`], or [`TokenError::Unavailable`] until the first key is loaded.
    pub async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(failure::invalid("malformed"));
        }
        let header = decode_header(token).map_err(|_| failure::invalid("malformed"))?;
        if header.alg != Algorithm::ES256 {
            return Err(failure::invalid("algorithm"));
        }
        // RFC 7515, 4.1.11: extensions that must be understood, and none is.
        if header.crit.is_some() {
            return Err(failure::invalid("malformed"));
        }
        let id = header.kid.ok_or_else(|| failure::invalid("unknown_key"))?;
        let key = if let Some(key) = self.key(&id) {
            key
        } else {
            self.refetch().await;
            self.key(&id).ok_or_else(|| {
                if self.loaded() {
                    failure::invalid("unknown_key")
                } else {
                    failure::unavailable()
                }
            })?
        };
        let claims = decode::<Claims>(token, &key, &self.0.rules)
            .map_err(|error| failure::rejected(&error))?
            .claims;
        if self.0.revocations.contains(claims.sid) {
            return Err(failure::invalid("revoked"));
        }
        Ok(claims)
    }

    /// Loads the keys and refreshes them until `shutdown`, as a background task of the server.
    ///
    /// # Errors
    /// None: a failed fetch is retried. The result is that of a background task.
    pub fn refresh_keys(self, shutdown: CancellationToken) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(async move {
            let mut retry = MIN_RETRY;
            loop {
                let pause = match self.fetch().await {
                    Ok(()) => {
                        retry = MIN_RETRY;
                        REFRESH_INTERVAL
                    }
                    Err(error) => {
                        if self.loaded() {
                            tracing::warn!(error = %error, "the signing keys could not be refreshed; the loaded ones stay in use");
                        } else {
                            tracing::debug!(error = %error, "auth-service does not publish its keys yet");
                        }
                        let next = next_retry(retry, self.loaded());
                        std::mem::replace(&mut retry, next)
                    }
                };
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    () = sleep(pause) => {}
                }
            }
        })
    }

    /// Follows the sessions that end, until `shutdown`, as a background task of the server.
    ///
    /// While auth-service is away, tokens are verified with what is known: they expire within minutes, and nobody can renew
    /// them until it is back. The gauge `token_revocations_age_seconds` is the age of what is known.
    ///
    /// # Errors
    /// None: a failed read is retried. The result is that of a background task.
    pub fn follow_revocations(self, shutdown: CancellationToken) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(async move {
            if let Some(source) = &self.0.source {
                let revocations = &self.0.revocations;
                shutdown
                    .run_until_cancelled(revocations.follow(source, || self.loaded()))
                    .await;
            }
            Ok(())
        })
    }

    fn key(&self, id: &str) -> Option<Arc<DecodingKey>> {
        self.0.keys.read().get(id).cloned()
    }

    /// Fetches the keys, unless the last fetch was a moment ago; concurrent callers wait for the same fetch.
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
        // The time is set first and the fetch is a separate task, so that a caller that is cancelled affects neither.
        *fetched = Some(Instant::now());
        let verifier = self.clone();
        let fetching = tokio::spawn(async move { verifier.fetch().await });
        if let Ok(Err(error)) = fetching.await {
            tracing::warn!(error = %error, "the signing keys could not be fetched");
        }
    }

    async fn fetch(&self) -> anyhow::Result<()> {
        if let Some(source) = &self.0.source {
            let keys = source.keys().await?;
            // A task that has just started must not accept the token of a session that ended before.
            if self.0.revocations.age().is_none()
                && let Err(error) = self.0.revocations.read(source).await
            {
                tracing::debug!(error = %error, "auth-service does not publish the ended sessions yet");
            }
            self.replace(keys);
        }
        Ok(())
    }

    fn replace(&self, keys: Keys) {
        *self.0.keys.write() = keys;
    }
}

/// Doubles a pause, up to the maximum, with jitter: services that lost auth-service at once must not retry at once.
fn next_retry(pause: Duration, loaded: bool) -> Duration {
    let max = if loaded { MAX_RETRY } else { MAX_FIRST_RETRY };
    (pause * 2).min(max).mul_f64(rand::random_range(0.7..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::{
        Role,
        testing::{AUDIENCE, TestTokens},
    };

    #[tokio::test]
    async fn a_token_is_valid_for_its_audience_and_its_time_only() {
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
    async fn an_unsigned_token_is_invalid_and_missing_keys_have_their_own_error() {
        let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4Iiwicm9sZSI6IkFETUlOIiwiZXhwIjo5OTk5OTk5OTk5fQ.";
        let tokens = TestTokens::new();
        assert_eq!(tokens.verifier().verify(none).await.unwrap_err(), TokenError::Invalid);
        let empty = Verifier::local("patient-management");
        assert_eq!(
            empty.verify(&tokens.token(Role::User)).await.unwrap_err(),
            TokenError::Unavailable
        );
    }

    #[tokio::test]
    async fn the_algorithm_is_pinned_and_a_token_that_is_too_long_is_not_decoded() {
        let tokens = TestTokens::new();
        let claims = tokens.claims(Role::Admin);
        let kid = tokens.jwks().keys[0].common.key_id.clone();
        // Algorithm confusion: the public key, which is published, used as the secret of an HMAC.
        let header = jsonwebtoken::Header {
            kid,
            ..jsonwebtoken::Header::new(Algorithm::HS256)
        };
        let public = serde_json::to_vec(&tokens.jwks().keys[0]).expect("JSON");
        let confused = jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_secret(&public));
        let verifier = tokens.verifier();
        let rejected = verifier.verify(&confused.expect("a token")).await;
        assert_eq!(rejected.unwrap_err(), TokenError::Invalid);

        let email = "x".repeat(MAX_TOKEN_BYTES);
        let long = tokens.sign(&Claims { email, ..claims });
        assert_eq!(verifier.verify(&long).await.unwrap_err(), TokenError::Invalid);
    }

    #[tokio::test]
    async fn the_tolerated_clock_skew_is_half_a_minute() {
        let tokens = TestTokens::new();
        let verifier = tokens.verifier();
        let claims = tokens.claims(Role::User);
        for (seconds, valid) in [(-20, true), (-40, false)] {
            let expired = tokens.sign(&Claims {
                exp: claims.iat + seconds,
                ..claims.clone()
            });
            assert_eq!(
                verifier.verify(&expired).await.is_ok(),
                valid,
                "expired {seconds} s ago"
            );
            let early = tokens.sign(&Claims {
                nbf: claims.iat - seconds,
                ..claims.clone()
            });
            assert_eq!(verifier.verify(&early).await.is_ok(), valid, "good in {seconds} s");
        }
    }

    /// Starts an auth-service that counts the requests for `jwks`.
    async fn publish(jwks: Arc<RwLock<JwkSet>>) -> (String, Arc<AtomicUsize>) {
        let requests = Arc::new(AtomicUsize::new(0));
        let count = requests.clone();
        let respond = move || {
            count.fetch_add(1, Ordering::SeqCst);
            let jwks = jwks.read().clone();
            async move { axum::Json(jwks) }
        };
        let routes = axum::Router::new().route("/.well-known/jwks.json", axum::routing::get(respond));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (url, requests)
    }

    #[tokio::test]
    async fn a_flood_of_unknown_key_ids_fetches_once_and_a_withdrawn_key_is_forgotten() {
        let (old, new) = (TestTokens::new(), TestTokens::new());
        let jwks = Arc::new(RwLock::new(old.jwks()));
        let (url, requests) = publish(jwks.clone()).await;
        let verifier = Verifier::new(&url, AUDIENCE).expect("a URL");
        assert!(
            verifier.verify(&old.token(Role::User)).await.is_ok(),
            "fetched when first needed"
        );
        assert_eq!(requests.load(Ordering::SeqCst), 1);
        let forged: Vec<String> = (0..50).map(|_| TestTokens::new().token(Role::Admin)).collect();
        let tries = futures::future::join_all(forged.iter().map(|token| verifier.verify(token))).await;
        assert!(
            tries
                .iter()
                .all(|tried| tried.as_ref().err() == Some(&TokenError::Invalid))
        );
        assert_eq!(requests.load(Ordering::SeqCst), 1, "the last fetch was a moment ago");

        *jwks.write() = new.jwks();
        let a_while_ago = Instant::now().checked_sub(REFETCH_PAUSE);
        *verifier.0.fetched.lock().await = a_while_ago;
        let tries = futures::future::join_all(forged.iter().map(|token| verifier.verify(token))).await;
        assert!(tries.iter().all(Result::is_err));
        assert_eq!(requests.load(Ordering::SeqCst), 2, "once for all of them");
        assert!(verifier.verify(&new.token(Role::User)).await.is_ok());
        assert!(verifier.verify(&old.token(Role::User)).await.is_err());
    }

    #[test]
    fn the_first_keys_are_fetched_soon_after_the_name_of_auth_service_exists() {
        let after = |tries: usize, loaded: bool| (0..tries).fold(MIN_RETRY, |pause, _| next_retry(pause, loaded));
        for tries in 1..20 {
            assert!(after(tries, false) <= MAX_FIRST_RETRY);
            assert!(after(tries, true) <= MAX_RETRY);
        }
        assert!(after(20, true) > MAX_FIRST_RETRY);
    }

    #[tokio::test]
    async fn a_key_set_without_a_usable_key_changes_nothing() {
        let tokens = TestTokens::new();
        let jwks = Arc::new(RwLock::new(tokens.jwks()));
        let (url, _) = publish(jwks.clone()).await;
        let verifier = Verifier::new(&url, AUDIENCE).expect("a URL");
        verifier.fetch().await.expect("the keys");
        *jwks.write() = JwkSet { keys: Vec::new() };
        assert!(verifier.fetch().await.is_err());
        assert!(verifier.verify(&tokens.token(Role::User)).await.is_ok());
    }
}
