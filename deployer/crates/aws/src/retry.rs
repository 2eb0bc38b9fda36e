//! The retry policy of every client of a session.
//!
//! Each request gets a few attempts with exponential backoff. A session that tolerates outages
//! ([`Session::tolerating_outages`](crate::Session::tolerating_outages)) retries longer: until nothing has answered, or the services
//! have been overloaded, for the whole of a limit that all its clients share. An operation of CloudFormation continues in the
//! meantime, so that a short outage must not end the command that watches it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudformation::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_cloudformation::config::retry::RetryConfig;
use aws_sdk_cloudformation::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use parking_lot::Mutex;

use crate::Clock;
use crate::error::{Error, root_cause};

/// Receives the start and the end of an outage.
pub type OutageReport = Arc<dyn Fn(OutageEvent) + Send + Sync>;

/// The start or the end of an outage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutageEvent {
    /// A request failed for the first time.
    Started {
        /// The cause.
        error: String,
        /// The longest outage that is tolerated.
        limit: Duration,
    },
    /// A request succeeded again.
    Ended {
        /// The duration of the outage.
        after: Duration,
    },
}

impl fmt::Display for OutageEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { error, limit } => write!(f, "{error}; retrying for up to {} s", limit.as_secs()),
            Self::Ended { after } => write!(f, "the endpoint responds again, after {} s", after.as_secs()),
        }
    }
}

/// The number of attempts of a request, and the time limit of its retries.
#[derive(Debug, Clone)]
pub(crate) struct RetryPolicy {
    clock: Clock,
    local: bool,
    outage: Option<Arc<Outage>>,
}

/// An outage that is tolerated, shared by the clients of a session.
struct Outage {
    limit: Duration,
    report: OutageReport,
    since: Mutex<Option<Duration>>,
}

impl fmt::Debug for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outage")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl RetryPolicy {
    /// Returns a policy that does not tolerate outages. Requests to AWS are also rate-limited: once throttled, all clients of a
    /// session together send no faster than AWS accepts.
    pub fn new(clock: Clock, local: bool) -> Self {
        Self {
            clock,
            local,
            outage: None,
        }
    }

    /// Returns the same policy with a tolerated outage of up to `limit`.
    pub fn tolerating_outages(&self, limit: Duration, report: OutageReport) -> Self {
        let outage = Outage {
            limit,
            report,
            since: Mutex::default(),
        };
        Self {
            outage: Some(Arc::new(outage)),
            ..self.clone()
        }
    }

    pub fn tolerates_outages(&self) -> bool {
        self.outage.is_some()
    }

    fn max_attempts(&self) -> u32 {
        if self.local { 2 } else { 8 }
    }

    fn initial_backoff(&self) -> Duration {
        Duration::from_millis(if self.local { 200 } else { 1000 })
    }

    /// Longest pause between two attempts.
    fn max_backoff(&self) -> Duration {
        Duration::from_secs(if self.local { 2 } else { 20 })
    }

    /// Returns the policy for the SDK's clients, without the tolerance.
    pub fn sdk_config(&self) -> RetryConfig {
        let config = if self.local {
            RetryConfig::standard()
        } else {
            RetryConfig::adaptive()
        };
        config
            .with_max_attempts(self.max_attempts())
            .with_initial_backoff(self.initial_backoff())
            .with_max_backoff(self.max_backoff())
    }

    /// Returns the pause before a request is sent again after `attempts` failures, the last of them this one; `None` if it is not.
    pub fn backoff(&self, attempts: u32, error: &Error) -> Option<Duration> {
        let again = error.is_retryable() && (attempts < self.max_attempts() || self.tolerates(attempts, error));
        let doublings = attempts.saturating_sub(1).min(16);
        again.then(|| (self.initial_backoff() * 2_u32.pow(doublings)).min(self.max_backoff()))
    }

    /// Records a response: any outage has ended.
    pub fn responded(&self) {
        let Some(outage) = &self.outage else { return };
        if let Some(since) = outage.since.lock().take() {
            let after = self.clock.since(since);
            (outage.report)(OutageEvent::Ended { after });
        }
    }

    /// Records a failure that may pass, and returns whether the outage is short enough to go on. It is reported once a request has
    /// used up its ordinary attempts.
    fn tolerates(&self, attempts: u32, error: &Error) -> bool {
        let Some(outage) = &self.outage else { return false };
        let mut since = outage.since.lock();
        match *since {
            Some(since) => self.clock.since(since) < outage.limit,
            None if attempts < self.max_attempts() => true,
            None => {
                *since = Some(self.clock.now());
                drop(since);
                (outage.report)(OutageEvent::Started {
                    error: error.to_string(),
                    limit: outage.limit,
                });
                true
            }
        }
    }
}

/// Applies the tolerance to the SDK's clients: the SDK asks for the configuration again after each attempt.
impl Intercept for RetryPolicy {
    fn name(&self) -> &'static str {
        "outage tolerance"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let attempts = config.load::<RequestAttempts>().map_or(1, RequestAttempts::attempts);
        let again = match failure(context, config) {
            Some(error) if error.is_retryable() => self.tolerates(attempts, &error),
            _ => {
                self.responded();
                false
            }
        };
        let retry = if again {
            self.sdk_config().with_max_attempts(u32::MAX)
        } else {
            self.sdk_config()
        };
        config.interceptor_state().store_put(retry);
        Ok(())
    }
}

/// Returns the error of an attempt; `None` if it succeeded, or failed before it was sent.
fn failure(context: &FinalizerInterceptorContextRef<'_>, config: &ConfigBag) -> Option<Error> {
    let error = context.output_or_error()?.err()?;
    let operation = || {
        let metadata = config.load::<Metadata>();
        let service = metadata.map_or("", Metadata::service).to_lowercase().replace(' ', "");
        format!("{service} {}", metadata.map_or("", Metadata::name))
    };
    match context.response() {
        Some(response) if !error.is_response_error() => {
            let body = response.body().bytes().unwrap_or_default();
            let status = response.status().as_u16();
            let (code, message) = crate::xml::service_error(&String::from_utf8_lossy(body));
            Some(match code.as_str() {
                "" => Error::from_http(operation(), response),
                code => Error::from_code(operation(), status, code, message),
            })
        }
        Some(response) => Some(Error::from_http(operation(), response)),
        None if error.is_connector_error() || error.is_timeout_error() => Some(Error::NoResponse {
            operation: operation(),
            reason: match error.as_connector_error() {
                Some(error) => root_cause(error),
                None => "the request timed out".to_owned(),
            },
        }),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(limit: u64, speed: u32) -> (RetryPolicy, Arc<Mutex<Vec<String>>>) {
        let reported = Arc::new(Mutex::new(Vec::new()));
        let lines = reported.clone();
        let report = Arc::new(move |event: OutageEvent| lines.lock().push(event.to_string()));
        let policy = RetryPolicy::new(Clock::at_speed(speed), true);
        (policy.tolerating_outages(Duration::from_secs(limit), report), reported)
    }

    fn no_response() -> Error {
        Error::NoResponse {
            operation: "ecs DescribeServices".into(),
            reason: "connection refused".into(),
        }
    }

    #[test]
    fn an_outage_is_reported_once_and_tolerated_up_to_its_limit() {
        let (policy, reported) = policy(1, 100);
        assert!(policy.backoff(1, &no_response()).is_some());
        assert!(reported.lock().is_empty(), "an ordinary retry is not an outage");
        assert!(policy.backoff(2, &no_response()).is_some() && policy.backoff(3, &no_response()).is_some());
        assert_eq!(reported.lock().len(), 1);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(
            policy.backoff(4, &no_response()),
            None,
            "two seconds have passed on this clock"
        );
        policy.responded();
        assert!(
            policy.backoff(2, &no_response()).is_some(),
            "the next outage has its own limit"
        );
    }

    #[test]
    fn only_passing_errors_are_retried() {
        let (policy, _) = policy(180, 1);
        let denied = Error::from_code("ecs ListTasks".into(), 400, "AccessDenied", "no".into());
        assert_eq!(policy.backoff(1, &denied), None);
        let throttled = Error::from_code("ecs ListTasks".into(), 400, "ThrottlingException", "slower".into());
        assert!(policy.backoff(5, &throttled).is_some());
        let plain = RetryPolicy::new(Clock::default(), true);
        assert_eq!(
            plain.backoff(2, &throttled),
            None,
            "without tolerance two attempts are made"
        );
    }
}
