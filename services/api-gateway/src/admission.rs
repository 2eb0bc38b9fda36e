//! Admission of a request: token, role, rate and concurrency.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use axum::extract::ConnectInfo;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, header};
use kit::Problem;
use kit::token::{TokenError, bearer};

use crate::caller::CallerKey;
use crate::concurrency_limit::{LimitReached, Permit};
use crate::forwarded_headers;
use crate::route::Access;
use crate::state::AppState;

/// Reason for which a request is not admitted.
pub enum Rejection {
    /// Any problem, such as 401, 403 or 503.
    Problem(Problem),
    /// 429: the caller exceeds its rate or its concurrency.
    TooManyRequests {
        /// Seconds until the next attempt.
        retry_after: u64,
    },
}

impl From<Problem> for Rejection {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::TooManyRequests { retry_after } => {
                let mut response = Problem::too_many_requests("Too many requests; slow down").into_response();
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
                response
            }
        }
    }
}

impl AppState {
    /// Admits a request, and returns the key by which its caller is counted.
    ///
    /// A caller without a valid token is counted by address: a forged token does not get a separate bucket.
    ///
    /// # Errors
    /// 401, 403, 429, or 503 while no signing keys are known.
    pub async fn admit(&self, parts: &Parts, access: Access) -> Result<CallerKey, Rejection> {
        let address = CallerKey::address(self.client_address(parts));
        if access == Access::Public {
            return self.count(address);
        }
        let verified = match bearer(&parts.headers) {
            Some(token) => self.verifier.verify(token).await,
            None => Err(TokenError::Invalid),
        };
        match verified {
            Ok(claims) => {
                let key = self.count(CallerKey::User(claims.sub))?;
                if access.allows(claims.role) {
                    Ok(key)
                } else {
                    Err(Problem::forbidden().into())
                }
            }
            Err(error) => {
                self.count(address)?;
                Err(Rejection::Problem(match error {
                    TokenError::Invalid => Problem::unauthorized(),
                    TokenError::Unavailable => {
                        Problem::unavailable("Tokens cannot be verified yet; try again in a moment")
                    }
                }))
            }
        }
    }

    /// Acquires a permit for one request in flight.
    ///
    /// # Errors
    /// 503 if the total limit is reached, 429 if the caller's own limit is.
    pub fn acquire_permit(&self, key: CallerKey) -> Result<Permit, Rejection> {
        self.concurrency.acquire(key).map_err(|limit| match limit {
            LimitReached::Total => {
                Problem::unavailable("Too many requests are in progress; try again in a moment").into()
            }
            LimitReached::Caller => {
                metrics::counter!("gateway_rate_limited_total").increment(1);
                Rejection::TooManyRequests { retry_after: 1 }
            }
        })
    }

    /// Returns the client's address as reported by the load balancer, otherwise that of the connection.
    pub fn client_address(&self, parts: &Parts) -> Option<IpAddr> {
        let reported = forwarded_headers::client_address(&parts.headers, self.trusted_proxies);
        reported.or_else(|| {
            parts
                .extensions
                .get::<ConnectInfo<SocketAddr>>()
                .map(|info| info.0.ip())
        })
    }

    fn count(&self, key: CallerKey) -> Result<CallerKey, Rejection> {
        let taken = self.rate_limiter.take(key, Instant::now());
        taken.map(|()| key).map_err(|wait| {
            metrics::counter!("gateway_rate_limited_total").increment(1);
            Rejection::TooManyRequests {
                // Rounded up, so that a client that waits for it is not too early.
                retry_after: (wait + Duration::from_nanos(999_999_999)).as_secs().max(1),
            }
        })
    }
}
