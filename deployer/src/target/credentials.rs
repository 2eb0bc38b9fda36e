//! Credentials that are asked for again when AWS says that they have expired: a profile may have got fresh ones meanwhile.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::Region;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use aws_sdk_cloudformation::config::interceptors::InterceptorContext;
use aws_sdk_cloudformation::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_cloudformation::config::{Credentials, ProvideCredentials};
use futures::future::BoxFuture;

use super::{Clock, identity};
use crate::error::Result as Answer;

/// Credentials that end sooner than this are renewed before they are used.
const SOON: Duration = Duration::from_secs(60);
/// Requests that were signed before the last renewal may be refused for as long as this.
const STRAGGLERS: Duration = Duration::from_secs(5);

type Loaded = Result<Credentials, CredentialsError>;
/// Where credentials come from, asked anew each time.
pub type Source = Arc<dyn Fn() -> BoxFuture<'static, Loaded> + Send + Sync>;

/// What the SDK looks for by itself: environment, profile, SSO session, container, instance.
pub fn chain(region: Region, profile: Option<String>) -> Source {
    Arc::new(move || {
        let (region, profile) = (region.clone(), profile.clone());
        Box::pin(async move {
            let chain = identity::chain(&region, profile.as_deref()).await;
            chain.provide_credentials().await
        })
    })
}

/// One identity, shared by all clients.
#[derive(Clone)]
pub struct Renewing(Arc<Inner>);

struct Inner {
    source: Source,
    clock: Clock,
    state: Mutex<State>,
    /// Held while they are loaded, so that many requests load them once.
    loading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    current: Option<Credentials>,
    /// What AWS has called expired.
    refused: Option<Credentials>,
    renewed: Option<Duration>,
}

impl Renewing {
    pub fn new(source: Source, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            source,
            clock,
            state: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
        }))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for them now, so that nobody finds out late, and gives when they end, in seconds since 1970. A program that
    /// asks for a second factor is asked this once.
    pub async fn first(&self) -> Answer<Option<i64>> {
        let found = self.provide().await.map_err(|error| identity::refused(&error))?;
        let end = found.expiry().and_then(|end| end.duration_since(UNIX_EPOCH).ok());
        Ok(end.and_then(|end| i64::try_from(end.as_secs()).ok()))
    }

    fn usable(&self) -> Option<Credentials> {
        let soon = SystemTime::now() + SOON;
        let lasts = |found: &Credentials| found.expiry().is_none_or(|end| end > soon);
        self.state().current.clone().filter(lasts)
    }

    async fn provide(&self) -> Loaded {
        if let Some(found) = self.usable() {
            return Ok(found);
        }
        let _alone = self.0.loading.lock().await;
        if let Some(found) = self.usable() {
            return Ok(found);
        }
        let found = (self.0.source)().await?;
        let mut state = self.state();
        if let Some(refused) = &state.refused {
            let same = |a: &Credentials, b: &Credentials| {
                a.access_key_id() == b.access_key_id() && a.session_token() == b.session_token()
            };
            if same(refused, &found) {
                return Err(CredentialsError::provider_error(
                    "the credentials have expired, and there are no fresh ones",
                ));
            }
            state.renewed = Some(self.0.clock.now());
        }
        state.current = Some(found.clone());
        Ok(found)
    }

    /// AWS says that what it was shown has expired.
    pub(super) fn refuse(&self) {
        let mut state = self.state();
        if state.renewed.is_some_and(|at| self.0.clock.since(at) < STRAGGLERS) {
            return;
        }
        if let Some(expired) = state.current.take() {
            state.refused = Some(expired);
        }
    }
}

impl fmt::Debug for Renewing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewing")
    }
}

impl ProvideCredentials for Renewing {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

/// A request that was refused for its age is signed and sent again: with fresh credentials, or not at all.
impl ClassifyRetry for Renewing {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let expired = context
            .response()
            .filter(|response| response.status().is_client_error())
            .and_then(|response| response.body().bytes())
            .is_some_and(|body| body.windows(b"ExpiredToken".len()).any(|part| part == b"ExpiredToken"));
        if !expired {
            return RetryAction::NoActionIndicated;
        }
        self.refuse();
        RetryAction::transient_error()
    }

    fn name(&self) -> &'static str {
        "expired credentials"
    }
}
