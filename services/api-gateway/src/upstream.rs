//! The client side: one pool of connections to all services.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kit::Problem;
use tokio::time::{Instant, sleep, timeout_at};
use tower_http::timeout::TimeoutBody;

use crate::attempt::Attempt;
use crate::forwarded;
use crate::peer::{Peer, Peers};

/// Pauses between tries, each a little longer or shorter: together longer than a replica that is going takes to be left out
/// of the service's name.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(25),
    Duration::from_millis(75),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1500),
];
/// A service is in the same network; one that does not take a connection by then is down.
const CONNECT: Duration = Duration::from_secs(2);

/// How long an unused connection is kept: shorter than a stopping service takes requests (`SHUTDOWN_DELAY`, 3 s), in which
/// each answer ends its connection. So nothing is sent into one that is just being closed, not even what may not be repeated.
const IDLE: Duration = Duration::from_secs(2);

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
    /// Whether a second try does no harm even if the first one arrived.
    pub repeatable: bool,
}

/// Whether a request may be sent again although nobody knows whether it was done.
///
/// A PUT says the same twice, unless it is tied to a version, which the first one may have moved on. A DELETE that was
/// done would be told "not found". A POST needs a key, and a service that looks at it.
pub fn repeatable(method: &Method, headers: &HeaderMap, keyed: bool) -> bool {
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => true,
        Method::PUT => !headers.contains_key(header::IF_MATCH),
        Method::POST => keyed && headers.contains_key("idempotency-key"),
        _ => false,
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
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(64)
            .build(connector);
        Upstream { client, peers, timeout }
    }

    /// The answer of a service; 503 when it is down, 504 when it is slow.
    pub async fn send(&self, peer: Peer, outgoing: Outgoing) -> Result<Response<Body>, Problem> {
        let deadline = Instant::now() + self.timeout;
        let outcome = match timeout_at(deadline, self.attempts(peer, &outgoing, deadline)).await {
            Ok(Ok(response)) if response.status().is_informational() => {
                // Nobody asked for another protocol, so nobody gets one.
                tracing::error!(peer = peer.name(), "a service wants to switch protocols");
                Err(Problem::new(
                    StatusCode::BAD_GATEWAY,
                    format!("{} gave no answer", peer.name()),
                ))
            }
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

    async fn attempts(
        &self,
        peer: Peer,
        outgoing: &Outgoing,
        deadline: Instant,
    ) -> Result<Response<Incoming>, Problem> {
        let mut pauses = PAUSES
            .into_iter()
            .map(|pause| pause.mul_f64(rand::random_range(0.75..1.25)))
            .take_while(|pause| Instant::now() + *pause < deadline);
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
            let again = error.is_connect() || outgoing.repeatable;
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
