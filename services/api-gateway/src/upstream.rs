//! The HTTP client of the services: one connection pool, timeouts and retries.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kit::Problem;
use tokio::time::{Instant, sleep, timeout_at};
use tower_http::timeout::TimeoutBody;

use crate::attempt::Attempt;
use crate::backend::{Backend, Backends};
use crate::connector::{Connector, connector};
use crate::forwarded_headers;

/// Pauses between attempts, each randomized by 25 %.
///
/// In total they are longer than the address of a task that has ended stays in the service's name: its TTL in Cloud Map,
/// and the time that Route 53 takes to publish the change.
const RETRY_PAUSES: [Duration; 11] = [
    Duration::from_millis(25),
    Duration::from_millis(75),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1250),
    Duration::from_millis(1750),
    Duration::from_secs(2),
    Duration::from_secs(2),
    Duration::from_secs(2),
    Duration::from_secs(2),
];
/// Timeout of a connection; the services are in the same network, so a slower one is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time after which an unused connection is closed.
///
/// It is shorter than the time in which a stopping service still takes requests (`SHUTDOWN_DELAY`, at least 3 s), in which
/// each response closes its connection. So no request is sent into a connection that is just being closed, not even one that
/// must not be repeated.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// Client of the services.
#[derive(Clone)]
pub struct Upstream {
    client: Client<Connector, Full<Bytes>>,
    backends: Backends,
    timeout: Duration,
}

/// A request to a service, complete, so that it can be sent again.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Method of the client's request.
    pub method: Method,
    /// Path at the service, with the query.
    pub path: PathAndQuery,
    /// End-to-end headers.
    pub headers: HeaderMap,
    /// The complete body.
    pub body: Bytes,
    /// True if a second attempt is harmless even if the first one arrived.
    pub is_repeatable: bool,
}

/// Returns true if a request may be sent again although it is unknown if the service has executed it.
///
/// A PUT has the same effect twice, except if it depends on a version (If-Match), which the first one may have changed.
/// A DELETE that was executed would return 404 the second time. A POST needs an Idempotency-Key and a service that
/// supports it.
pub fn is_repeatable(method: &Method, headers: &HeaderMap, is_idempotent_post: bool) -> bool {
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => true,
        Method::PUT => !headers.contains_key(header::IF_MATCH),
        Method::POST => is_idempotent_post && headers.contains_key("idempotency-key"),
        _ => false,
    }
}

impl Upstream {
    /// Returns a client of these services; `timeout` includes everything up to the headers of the response.
    pub fn new(backends: Backends, timeout: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(64)
            .build(connector(CONNECT_TIMEOUT));
        Self {
            client,
            backends,
            timeout,
        }
    }

    /// Sends a request, with retries, and returns the response.
    ///
    /// # Errors
    /// 503 if the service is down, 504 if it is slow, 502 if it tries to switch protocols.
    pub async fn send(&self, backend: Backend, outgoing: Outgoing) -> Result<Response<Body>, Problem> {
        let name = backend.name();
        let deadline = Instant::now() + self.timeout;
        let problem = match timeout_at(deadline, self.send_with_retries(backend, &outgoing, deadline)).await {
            Ok(Ok(response)) if response.status().is_informational() => {
                // The gateway requested no other protocol, so this response is invalid.
                tracing::error!(peer = name, "a service tries to switch protocols");
                Problem::new(StatusCode::BAD_GATEWAY, format!("{name} sent an invalid response"))
            }
            Ok(Ok(response)) => return Ok(self.to_client(response)),
            Ok(Err(problem)) => problem,
            Err(_) => {
                tracing::warn!(peer = name, "a service did not respond in time");
                Problem::timeout(format!("{name} took too long to respond"))
            }
        };
        metrics::counter!("gateway_upstream_failures_total", "peer" => name).increment(1);
        Err(problem)
    }

    async fn send_with_retries(
        &self,
        backend: Backend,
        outgoing: &Outgoing,
        deadline: Instant,
    ) -> Result<Response<Incoming>, Problem> {
        let mut pauses = RETRY_PAUSES
            .into_iter()
            .map(|pause| pause.mul_f64(rand::random_range(0.75..1.25)))
            .take_while(|pause| Instant::now() + *pause < deadline);
        let mut number = 0;
        loop {
            let mut request = self.request(backend, outgoing)?;
            let attempt = Attempt::start(backend, request.method(), number);
            attempt.inject_trace(request.headers_mut());
            let error = match self.client.request(request).await {
                Ok(response) => {
                    attempt.succeed(response.status());
                    return Ok(response);
                }
                Err(error) => {
                    attempt.fail(!error.is_connect());
                    error
                }
            };
            number += 1;
            // Without a connection nothing was sent; otherwise it is unknown what the service has executed.
            let may_retry = error.is_connect() || outgoing.is_repeatable;
            if let Some(pause) = pauses.next().filter(|_| may_retry) {
                sleep(pause).await;
            } else {
                let name = backend.name();
                tracing::warn!(peer = name, error = with_causes(&error), "a service is unreachable");
                return Err(Problem::unavailable(format!(
                    "{name} is not available; try again in a moment"
                )));
            }
        }
    }

    fn request(&self, backend: Backend, outgoing: &Outgoing) -> Result<Request<Full<Bytes>>, Problem> {
        let uri = self
            .backends
            .uri(backend, outgoing.path.clone())
            .map_err(Problem::internal)?;
        let mut request = Request::new(Full::new(outgoing.body.clone()));
        *request.method_mut() = outgoing.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = outgoing.headers.clone();
        Ok(request)
    }

    /// Returns the response for the client; its body ends if the service sends nothing for the timeout.
    fn to_client(&self, response: Response<Incoming>) -> Response<Body> {
        let (mut head, body) = response.into_parts();
        forwarded_headers::remove_hop_by_hop(&mut head.headers);
        head.headers.remove(header::SERVER);
        Response::from_parts(head, Body::new(TimeoutBody::new(self.timeout, body)))
    }
}

/// Formats the error with its causes; it contains addresses, but nothing of the request.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_last_longer_than_the_address_of_a_task_that_has_ended() {
        let longest: Duration = RETRY_PAUSES.iter().sum();
        assert_eq!(longest, Duration::from_millis(12_500));
        // Records of Cloud Map have a TTL of 10 s; every pause may be 25 % shorter, and the average is not.
        assert!(longest > Duration::from_secs(12));
        assert!(RETRY_PAUSES.is_sorted());
    }
}
