//! The verifier and its cache of published keys.

use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    Claims, ISSUER, TokenError, failure,
    source::{self, Keys, Source},
};

/// An unknown key id asks auth-service again, but not more often than this, however many ids are made up.
const REFETCH_PAUSE: Duration = Duration::from_secs(10);
/// How often the keys are read without any reason, so that withdrawn ones go and new ones are known before they sign.
pub const REFRESH: Duration = Duration::from_secs(300);
/// How long to wait after the first fetch that failed; doubled by each further one, up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// Seconds that clocks may differ.
const LEEWAY: u64 = 30;
/// No token that auth-service makes is longer; what is longer is not even decoded.
const LONGEST_TOKEN: usize = 4096;

/// Checks access tokens; cheap to clone.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    /// None when the keys are given, not fetched.
    source: Option<Source>,
    rules: Validation,
    keys: RwLock<Keys>,
    fetched: Mutex<Option<Instant>>,
}

impl Verifier {
    /// A verifier that fetches the keys of the auth-service at this base URL when it first needs them.
    ///
    /// # Errors
    /// When the URL is malformed.
    pub fn new(auth_service_url: &str, audience: &str) -> anyhow::Result<Self> {
        Ok(Self::build(Some(Source::new(auth_service_url)?), audience))
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
            fetched: Mutex::default(),
        }))
    }

    /// Replaces the known keys; what is not a P-256 key for ES256 signatures with an id is left out.
    pub fn set_keys(&self, jwks: &JwkSet) {
        self.replace(source::usable(jwks.keys.iter()));
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
        if token.len() > LONGEST_TOKEN {
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
        let mut retry = FIRST_RETRY;
        loop {
            let pause = match self.fetch().await {
                Ok(()) => {
                    retry = FIRST_RETRY;
                    REFRESH
                }
                Err(error) => {
                    if self.loaded() {
                        tracing::warn!(error = %error, "the signing keys could not be refreshed; the known ones are kept");
                    } else {
                        tracing::debug!(error = %error, "auth-service does not give its keys yet");
                    }
                    let next = longer(retry);
                    std::mem::replace(&mut retry, next)
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
        // Noted first, and fetched in a task of its own: a caller that leaves meanwhile must not undo either.
        *fetched = Some(Instant::now());
        let verifier = self.clone();
        let fetching = tokio::spawn(async move { verifier.fetch().await });
        if let Ok(Err(error)) = fetching.await {
            tracing::warn!(error = %error, "the signing keys could not be fetched");
        }
    }

    async fn fetch(&self) -> anyhow::Result<()> {
        if let Some(source) = &self.0.source {
            let keys = source.fetch().await?;
            self.replace(keys);
        }
        Ok(())
    }

    fn replace(&self, keys: Keys) {
        *self.0.keys.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = keys;
    }
}

/// Twice the pause before, up to the longest, less some of it: services that lost auth-service together must not
/// come back together.
fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_RETRY).mul_f64(rand::random_range(0.7..=1.0))
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

    #[tokio::test]
    async fn the_algorithm_is_pinned_and_what_is_too_long_is_not_even_decoded() {
        let tokens = TestTokens::new();
        let claims = tokens.claims(Role::Admin);
        let kid = tokens.jwks().keys[0].common.key_id.clone();
        // The classic confusion: the public key, which everybody has, taken as the secret of an HMAC.
        let header = jsonwebtoken::Header {
            kid,
            ..jsonwebtoken::Header::new(Algorithm::HS256)
        };
        let public = serde_json::to_vec(&tokens.jwks().keys[0]).expect("JSON");
        let confused = jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_secret(&public));
        let verifier = tokens.verifier();
        let refused = verifier.verify(&confused.expect("a token")).await;
        assert_eq!(refused.unwrap_err(), TokenError::Invalid);

        let email = "x".repeat(LONGEST_TOKEN);
        let long = tokens.sign(&Claims { email, ..claims });
        assert_eq!(verifier.verify(&long).await.unwrap_err(), TokenError::Invalid);
    }

    #[tokio::test]
    async fn clocks_may_differ_by_half_a_minute_and_no_more() {
        let tokens = TestTokens::new();
        let verifier = tokens.verifier();
        let claims = tokens.claims(Role::User);
        for (seconds, holds) in [(-20, true), (-40, false)] {
            let expired = tokens.sign(&Claims {
                exp: claims.iat + seconds,
                ..claims.clone()
            });
            assert_eq!(
                verifier.verify(&expired).await.is_ok(),
                holds,
                "expired {seconds} s ago"
            );
            let early = tokens.sign(&Claims {
                nbf: claims.iat - seconds,
                ..claims.clone()
            });
            assert_eq!(verifier.verify(&early).await.is_ok(), holds, "good in {seconds} s");
        }
    }

    /// An auth-service that counts how often it is asked for `jwks`.
    async fn published(jwks: Arc<RwLock<JwkSet>>) -> (String, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let answer = move || {
            count.fetch_add(1, Ordering::SeqCst);
            let jwks = jwks.read().expect("a lock").clone();
            async move { axum::Json(jwks) }
        };
        let routes = axum::Router::new().route("/.well-known/jwks.json", axum::routing::get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (url, asked)
    }

    #[tokio::test]
    async fn a_flood_of_made_up_key_ids_asks_once_and_a_withdrawn_key_is_forgotten() {
        let (old, new) = (TestTokens::new(), TestTokens::new());
        let jwks = Arc::new(RwLock::new(old.jwks()));
        let (url, asked) = published(jwks.clone()).await;
        let verifier = Verifier::new(&url, AUDIENCE).expect("a URL");
        assert!(
            verifier.verify(&old.token(Role::User)).await.is_ok(),
            "fetched when first needed"
        );
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        let forged: Vec<String> = (0..50).map(|_| TestTokens::new().token(Role::Admin)).collect();
        let tries = futures::future::join_all(forged.iter().map(|token| verifier.verify(token))).await;
        assert!(
            tries
                .iter()
                .all(|tried| tried.as_ref().err() == Some(&TokenError::Invalid))
        );
        assert_eq!(asked.load(Ordering::SeqCst), 1, "it was asked a moment ago");

        *jwks.write().expect("a lock") = new.jwks();
        let a_while_ago = Instant::now().checked_sub(REFETCH_PAUSE);
        *verifier.0.fetched.lock().await = a_while_ago;
        let tries = futures::future::join_all(forged.iter().map(|token| verifier.verify(token))).await;
        assert!(tries.iter().all(Result::is_err));
        assert_eq!(asked.load(Ordering::SeqCst), 2, "once for all of them");
        assert!(verifier.verify(&new.token(Role::User)).await.is_ok());
        assert!(verifier.verify(&old.token(Role::User)).await.is_err());
    }

    #[tokio::test]
    async fn a_key_set_without_a_usable_key_changes_nothing() {
        let tokens = TestTokens::new();
        let jwks = Arc::new(RwLock::new(tokens.jwks()));
        let (url, _) = published(jwks.clone()).await;
        let verifier = Verifier::new(&url, AUDIENCE).expect("a URL");
        verifier.fetch().await.expect("the keys");
        *jwks.write().expect("a lock") = JwkSet { keys: Vec::new() };
        assert!(verifier.fetch().await.is_err());
        assert!(verifier.verify(&tokens.token(Role::User)).await.is_ok());
    }
}
