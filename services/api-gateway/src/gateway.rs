//! What every handler shares, and the checks at the door.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::ConnectInfo;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, header};
use kit::token::{TokenError, bearer};
use kit::{Problem, Verifier};

use crate::body::Room;
use crate::forwarded;
use crate::places::{Full, Place, Places};
use crate::rate::{Key, Limiter};
use crate::route::Who;
use crate::upstream::Upstream;

/// The state of the gateway; cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    pub upstream: Upstream,
    pub verifier: Verifier,
    pub limiter: Arc<Limiter>,
    /// Requests that may be under way at the same time.
    pub places: Places,
    /// Memory for their bodies.
    pub room: Room,
    /// Proxies in front that append to X-Forwarded-For.
    pub proxies: usize,
}

/// Says what the gateway's own metrics mean.
pub fn describe() {
    use metrics::{Unit, describe_counter as counter, describe_histogram as histogram};

    counter!(
        "gateway_upstream_requests_total",
        "Tries to get an answer from a service, by peer and outcome"
    );
    histogram!(
        "gateway_upstream_request_duration_seconds",
        Unit::Seconds,
        "How long services took to answer, by peer"
    );
    counter!(
        "gateway_upstream_failures_total",
        "Requests that got no answer from their service, by peer"
    );
    counter!(
        "gateway_rate_limited_total",
        "Requests that were refused because there were too many"
    );
}

/// Why somebody does not get in.
pub enum Refusal {
    Problem(Problem),
    TooMany { seconds: u64 },
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal::Problem(problem)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Refusal::Problem(problem) => problem.into_response(),
            Refusal::TooMany { seconds } => {
                let mut response = Problem::too_many_requests("Too many requests; slow down").into_response();
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                response
            }
        }
    }
}

impl Gateway {
    /// Lets a caller in, and tells as whom it is counted; or says why not: 401, 403, 429, or 503 while no keys are known.
    ///
    /// Whoever has no token that holds is counted by address: a forged token buys no bucket of its own.
    pub async fn admit(&self, parts: &Parts, who: Who) -> Result<Key, Refusal> {
        if who == Who::Anyone {
            return self.count(Key::address(self.client(parts)));
        }
        let verdict = match bearer(&parts.headers) {
            Some(token) => self.verifier.verify(token).await,
            None => Err(TokenError::Invalid),
        };
        match verdict {
            Ok(claims) => {
                let key = self.count(Key::User(claims.sub))?;
                if who.admits(claims.role) {
                    Ok(key)
                } else {
                    Err(Problem::forbidden().into())
                }
            }
            Err(error) => {
                self.count(Key::address(self.client(parts)))?;
                Err(Refusal::Problem(match error {
                    TokenError::Invalid => Problem::unauthorized(),
                    TokenError::Unavailable => {
                        Problem::unavailable("Tokens cannot be checked yet; try again in a moment")
                    }
                }))
            }
        }
    }

    /// Takes a place among the requests under way; 503 when all are taken, 429 when this caller has its share.
    pub fn place(&self, key: Key) -> Result<Place, Refusal> {
        self.places.take(key).map_err(|full| match full {
            Full::All => Problem::unavailable("Too many requests are under way; try again in a moment").into(),
            Full::Caller => {
                metrics::counter!("gateway_rate_limited_total").increment(1);
                Refusal::TooMany { seconds: 1 }
            }
        })
    }

    /// The client's address, from the load balancer or from the connection itself.
    pub fn client(&self, parts: &Parts) -> Option<std::net::IpAddr> {
        let told = forwarded::client(&parts.headers, self.proxies);
        told.or_else(|| {
            parts
                .extensions
                .get::<ConnectInfo<SocketAddr>>()
                .map(|info| info.0.ip())
        })
    }

    fn count(&self, key: Key) -> Result<Key, Refusal> {
        let taken = self.limiter.take(key, Instant::now());
        taken.map(|()| key).map_err(|wait| {
            metrics::counter!("gateway_rate_limited_total").increment(1);
            Refusal::TooMany {
                seconds: wait.as_secs_f64().ceil().max(1.0) as u64,
            }
        })
    }
}
