//! Sessions that ended before their access tokens expire, as auth-service publishes them.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::RwLock;
use uuid::Uuid;

use super::source::{RevokedSessions, Source};

/// Interval between two reads.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time for which an ended session is published and remembered; longer than its last access token is accepted.
pub const REVOCATION_WINDOW: Duration = Duration::from_mins(20);
/// Seconds that two reads overlap: a transaction that ends a session becomes visible some time after its own timestamp.
const OVERLAP: i64 = 30;

/// The sessions that are known to have ended.
#[derive(Default)]
pub(super) struct Revocations(RwLock<Known>);

#[derive(Default)]
struct Known {
    /// Each session with the time at which it was learned.
    sessions: HashMap<Uuid, Instant>,
    /// `until` of the last response.
    until: Option<i64>,
    read_at: Option<Instant>,
}

impl Revocations {
    /// Returns whether a session has ended.
    pub(super) fn contains(&self, session: Uuid) -> bool {
        self.0.read().sessions.contains_key(&session)
    }

    /// Reads the sessions that ended since the last read.
    pub(super) async fn read(&self, source: &Source) -> anyhow::Result<()> {
        let since = self.0.read().until.map(|until| until - OVERLAP);
        let response = source.revoked_sessions(since).await?;
        self.apply(response, Instant::now());
        Ok(())
    }

    /// Follows the sessions that end; a failure is logged once it is known that auth-service has been there.
    pub(super) async fn follow(&self, source: &Source, is_loaded: impl Fn() -> bool) {
        let (started, mut away) = (Instant::now(), false);
        loop {
            match self.read(source).await {
                Ok(()) if away => {
                    away = false;
                    tracing::info!("the ended sessions are read again");
                }
                Err(error) if !away && is_loaded() => {
                    away = true;
                    tracing::warn!(
                        error = %error,
                        "the ended sessions could not be read; tokens are verified with those that are known, until they expire"
                    );
                }
                Ok(()) | Err(_) => {}
            }
            let age = self.age().unwrap_or_else(|| started.elapsed());
            metrics::gauge!("token_revocations_age_seconds").set(age.as_secs_f64());
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Returns the time since the last response; `None` if there was none.
    pub(super) fn age(&self) -> Option<Duration> {
        self.0.read().read_at.map(|at| at.elapsed())
    }

    /// Adds the sessions of a response, and forgets those whose tokens have expired.
    pub(super) fn apply(&self, response: RevokedSessions, now: Instant) {
        let mut known = self.0.write();
        known
            .sessions
            .retain(|_, learned| now.saturating_duration_since(*learned) < REVOCATION_WINDOW);
        for session in response.sessions {
            known.sessions.entry(session).or_insert(now);
        }
        known.until = Some(response.until);
        known.read_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{Router, extract::RawQuery, routing::get};
    use parking_lot::Mutex;

    use super::*;
    use crate::{
        Role, Verifier,
        testing::{AUDIENCE, TestTokens, wait_until},
        token::TokenError,
    };

    #[tokio::test]
    async fn a_token_of_an_ended_session_is_invalid_and_other_tokens_stay_valid_while_auth_service_is_away() {
        let tokens = TestTokens::new();
        let (jwks, ended) = (tokens.jwks(), Arc::new(Mutex::new(Some(Vec::<Uuid>::new()))));
        let queries = Arc::new(Mutex::new(Vec::new()));
        let (published, asked) = (ended.clone(), queries.clone());
        let feed = move |RawQuery(query): RawQuery| {
            asked.lock().push(query);
            let sessions = published.lock().clone();
            async move {
                let response = sessions.map(|sessions| RevokedSessions { until: 1000, sessions });
                response.map(axum::Json).ok_or(http::StatusCode::SERVICE_UNAVAILABLE)
            }
        };
        let routes = Router::new()
            .route("/.well-known/jwks.json", get(async move || axum::Json(jwks)))
            .route("/revoked-sessions", get(feed));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, routes).await });

        let ended_before = tokens.claims(Role::Admin);
        *ended.lock() = Some(vec![ended_before.sid]);
        let verifier = Verifier::new(&url, AUDIENCE).expect("a URL");
        let verdict = verifier.verify(&tokens.sign(&ended_before)).await;
        assert_eq!(
            verdict.err(),
            Some(TokenError::Invalid),
            "known when the first keys are"
        );

        let shutdown = tokio_util::sync::CancellationToken::new();
        let following = tokio::spawn(verifier.clone().follow_revocations(shutdown.clone()));
        let claims = tokens.claims(Role::User);
        let token = tokens.sign(&claims);
        assert!(verifier.verify(&token).await.is_ok());
        *ended.lock() = Some(vec![claims.sid]);
        let is_invalid = || async { verifier.verify(&token).await.is_err() };
        wait_until("the end of the session", Duration::from_secs(20), is_invalid).await;

        *ended.lock() = None;
        let count = queries.lock().len();
        let is_asked = || async { queries.lock().len() > count + 1 };
        wait_until("two failed reads", Duration::from_secs(20), is_asked).await;
        assert!(verifier.verify(&token).await.is_err(), "what is known stays known");
        assert!(verifier.verify(&tokens.token(Role::User)).await.is_ok());
        assert_eq!(queries.lock()[0], None, "first all of them");
        assert_eq!(queries.lock()[1].as_deref(), Some("since=970"), "then the new ones");
        shutdown.cancel();
        following.await.expect("no panic").expect("no error");
    }

    #[test]
    fn a_session_is_forgotten_when_its_tokens_have_expired() {
        let (revocations, start) = (Revocations::default(), Instant::now());
        assert_eq!(revocations.age(), None);
        let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
        let response = |until, sessions| RevokedSessions { until, sessions };
        revocations.apply(response(1000, vec![first]), start);
        // Repeated in the overlap: the first time counts.
        revocations.apply(response(1010, vec![first, second]), start + Duration::from_secs(10));
        assert!(revocations.contains(first) && revocations.contains(second));
        revocations.apply(response(2200, Vec::new()), start + REVOCATION_WINDOW);
        assert!(!revocations.contains(first));
        assert!(revocations.contains(second));
    }
}
