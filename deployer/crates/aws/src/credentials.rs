//! Credentials that are loaded again when AWS rejects them as expired: a profile may have new ones in the meantime.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use aws_sdk_cloudformation::config::interceptors::InterceptorContext;
use aws_sdk_cloudformation::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_cloudformation::config::{Credentials, ProvideCredentials};
use futures::future::BoxFuture;
use parking_lot::Mutex;

use crate::Clock;
use crate::error::{Error, ExpiredCredentials, Result};
use crate::region;

/// Credentials that expire sooner are renewed before they are used.
const EXPIRY_WINDOW: Duration = Duration::from_mins(1);
/// Requests that were signed before the last renewal may still be rejected for this long.
const LATE_REJECTIONS: Duration = Duration::from_secs(5);

type Loaded = std::result::Result<Credentials, CredentialsError>;
/// A source of credentials, called for each renewal.
pub type CredentialsSource = Arc<dyn Fn() -> BoxFuture<'static, Loaded> + Send + Sync>;

/// Returns a source of fixed credentials, by access key and secret key.
pub fn fixed(access_key: &str, secret_key: &str) -> CredentialsSource {
    let credentials = Credentials::new(access_key, secret_key, None, None, "fixed");
    Arc::new(move || Box::pin(std::future::ready(Ok(credentials.clone()))))
}

/// Returns the SDK's default chain: environment, profile, SSO session, web identity, container, EC2 instance.
pub(crate) fn chain(region: Region, profile: Option<String>) -> CredentialsSource {
    Arc::new(move || {
        let (region, profile) = (region.clone(), profile.clone());
        Box::pin(async move {
            let mut chain = DefaultCredentialsChain::builder()
                .region(region)
                .imds_client(region::instance_metadata());
            if let Some(profile) = profile {
                chain = chain.profile_name(&profile);
            }
            chain.build().await.provide_credentials().await
        })
    })
}

/// One identity, shared by all clients.
#[derive(Clone)]
pub(crate) struct RefreshingCredentials(Arc<Inner>);

struct Inner {
    source: CredentialsSource,
    clock: Clock,
    state: Mutex<State>,
    /// Held while they are loaded, so that concurrent requests load them once.
    loading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    current: Option<Credentials>,
    /// Those that AWS rejected as expired.
    expired: Option<Credentials>,
    renewed: Option<Duration>,
}

impl RefreshingCredentials {
    pub fn new(source: CredentialsSource, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            source,
            clock,
            state: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
        }))
    }

    /// Loads them now, so that missing ones are reported early, and returns their expiry in seconds since 1970. A program that asks for
    /// a second factor asks once.
    ///
    /// # Errors
    /// There are no usable credentials.
    pub async fn load(&self) -> Result<Option<i64>> {
        let found = self.provide().await.map_err(|error| no_credentials(&error))?;
        let expiry = found.expiry().and_then(|end| end.duration_since(UNIX_EPOCH).ok());
        Ok(expiry.and_then(|end| i64::try_from(end.as_secs()).ok()))
    }

    /// Returns the current ones, to sign a request.
    ///
    /// # Errors
    /// There are no usable credentials, or the rejected ones have no successor.
    pub async fn current(&self, operation: &str) -> Result<Credentials> {
        self.provide()
            .await
            .map_err(|error| match crate::error::find_cause::<ExpiredCredentials>(&error) {
                Some(_) => Error::Expired {
                    operation: operation.to_owned(),
                },
                None => no_credentials(&error),
            })
    }

    fn usable(&self) -> Option<Credentials> {
        let soon = SystemTime::now() + EXPIRY_WINDOW;
        let lasts = |found: &Credentials| found.expiry().is_none_or(|end| end > soon);
        self.0.state.lock().current.clone().filter(lasts)
    }

    async fn provide(&self) -> Loaded {
        if let Some(found) = self.usable() {
            return Ok(found);
        }
        let _guard = self.0.loading.lock().await;
        if let Some(found) = self.usable() {
            return Ok(found);
        }
        let found = (self.0.source)().await?;
        let mut state = self.0.state.lock();
        if let Some(expired) = &state.expired {
            let same = |a: &Credentials, b: &Credentials| {
                a.access_key_id() == b.access_key_id() && a.session_token() == b.session_token()
            };
            if same(expired, &found) {
                return Err(CredentialsError::provider_error(ExpiredCredentials));
            }
            state.renewed = Some(self.0.clock.now());
        }
        state.current = Some(found.clone());
        Ok(found)
    }

    /// Records that AWS rejected the current ones as expired.
    pub fn mark_expired(&self) {
        let mut state = self.0.state.lock();
        if state.renewed.is_some_and(|at| self.0.clock.since(at) < LATE_REJECTIONS) {
            return;
        }
        if let Some(expired) = state.current.take() {
            state.expired = Some(expired);
        }
    }
}

fn no_credentials(error: &CredentialsError) -> Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let message = match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            "no usable credentials were found in the environment, the profile, or the role of this machine".to_owned()
        }
        _ => format!("no usable credentials were found: {cause}"),
    };
    Error::Denied {
        operation: "signing in to AWS".into(),
        message,
    }
}

impl fmt::Debug for RefreshingCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshingCredentials")
    }
}

impl ProvideCredentials for RefreshingCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

/// A request that was rejected for its expired credentials is signed and sent again with new ones, or fails.
impl ClassifyRetry for RefreshingCredentials {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let expired = context
            .response()
            .filter(|response| response.status().is_client_error())
            .and_then(|response| response.body().bytes())
            .is_some_and(|body| body.windows(b"ExpiredToken".len()).any(|part| part == b"ExpiredToken"));
        if !expired {
            return RetryAction::NoActionIndicated;
        }
        self.mark_expired();
        RetryAction::transient_error()
    }

    fn name(&self) -> &'static str {
        "expired credentials"
    }
}
