//! The client side: one pool of connections to all services.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kit::Problem;
use tokio::time::{sleep, timeout};
use tower_http::timeout::TimeoutBody;

use crate::attempt::Attempt;
use crate::forwarded;
use crate::peer::{Peer, Peers};

/// Pauses before the second and the third try.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];
/// A service is in the same network; one that does not take a connection by then is down.
const CONNECT: Duration = Duration::from_secs(2);

/// Sends requests on.
#[derive(Clone)]
pub struct Upstream {
    client: Client<HttpConnector, Full<Bytes>>,
    peers: Peers,
    timeout: Duration,
}

/// A request that can be sent more than once.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub method: Method,
    pub path: PathAndQuery,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Outgoing {
    /// Whether a second try does no harm even if the first one arrived.
    fn repeatable(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
            || self.headers.contains_key("idempotency-key")
    }
}

impl Upstream {
    /// A client of these peers; `timeout` is for everything up to the headers of the answer.
    pub fn new(peers: Peers, timeout: Duration) -> Upstream {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .pool_max_idle_per_host(64)
            .build(connector);
        Upstream { client, peers, timeout }
    }

    /// The answer of a service; 503 when it is down, 504 when it is slow.
    pub async fn send(&self, peer: Peer, outgoing: Outgoing) -> Result<Response<Body>, Problem> {
        let outcome = match timeout(self.timeout, self.attempts(peer, &outgoing)).await {
            Ok(Ok(response)) => return Ok(self.passed_on(response)),
            Ok(Err(problem)) => Err(problem),
            Err(_) => {
                tracing::warn!(peer = peer.name(), "a service did not answer in time");
                Err(Problem::timeout(format!("{} took too long to answer", peer.name())))
            }
        };
        metrics::counter!("gateway_upstream_failures_total", "peer" => peer.name()).increment(1);
        outcome
    }

    async fn attempts(&self, peer: Peer, outgoing: &Outgoing) -> Result<Response<Incoming>, Problem> {
        let mut pauses = PAUSES.into_iter();
        let mut number = 0;
        loop {
            let mut request = self.request(peer, outgoing)?;
            let attempt = Attempt::started(peer, request.method(), number);
            attempt.tell(request.headers_mut());
            let error = match self.client.request(request).await {
                Ok(response) => {
                    attempt.answered(response.status());
                    return Ok(response);
                }
                Err(error) => {
                    attempt.failed(!error.is_connect());
                    error
                }
            };
            number += 1;
            // Without a connection nothing was sent; otherwise nobody knows what the service has done.
            let again = error.is_connect() || outgoing.repeatable();
            match pauses.next().filter(|_| again) {
                Some(pause) => sleep(pause).await,
                None => {
                    tracing::warn!(peer = peer.name(), error = chain(&error), "a service cannot be reached");
                    return Err(Problem::unavailable(format!(
                        "{} is not available; try again in a moment",
                        peer.name()
                    )));
                }
            }
        }
    }

    fn request(&self, peer: Peer, outgoing: &Outgoing) -> Result<Request<Full<Bytes>>, Problem> {
        let uri = self.peers.uri(peer, outgoing.path.clone()).map_err(Problem::internal)?;
        let mut request = Request::new(Full::new(outgoing.body.clone()));
        *request.method_mut() = outgoing.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = outgoing.headers.clone();
        Ok(request)
    }

    /// The answer as the client gets it; its body ends when the service falls silent for the timeout.
    fn passed_on(&self, response: Response<Incoming>) -> Response<Body> {
        let (mut head, body) = response.into_parts();
        forwarded::remove_hop(&mut head.headers);
        head.headers.remove(http::header::SERVER);
        Response::from_parts(head, Body::new(TimeoutBody::new(self.timeout, body)))
    }
}

/// The error with its causes; it names addresses, never what was sent.
fn chain(error: &Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
