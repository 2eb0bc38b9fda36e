//! One try of a request at a service: its span, and its place in the metrics.

use std::time::Instant;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use kit::trace::{HEADER, Kind, Span};

use crate::peer::Peer;

/// A try that is under way; it is counted, and its span ends, when this is dropped.
#[derive(Debug)]
pub struct Attempt {
    peer: Peer,
    span: Span,
    started: Instant,
    /// A try that is dropped was given up: the service is slow, or the client left.
    outcome: String,
}

impl Attempt {
    /// The first try is number 0.
    pub fn started(peer: Peer, method: &Method, number: usize) -> Attempt {
        // Only the methods of `proxy::METHODS` come here, so the name is one of a few.
        let span = Span::child(Kind::Client, method.to_string());
        span.set("http.request.method", method.to_string());
        span.set("peer.service", peer.name());
        if number > 0 {
            span.set("http.request.resend_count", number as i64);
        }
        Attempt {
            peer,
            span,
            started: Instant::now(),
            outcome: "abandoned".to_owned(),
        }
    }

    /// Tells the service whose work it does.
    pub fn tell(&self, headers: &mut HeaderMap) {
        if let Some(Ok(trace)) = self.span.traceparent().map(HeaderValue::try_from) {
            headers.insert(HEADER, trace);
        }
    }

    /// The service answered, with whatever status.
    pub fn answered(mut self, status: StatusCode) {
        self.span.set("http.response.status_code", i64::from(status.as_u16()));
        self.outcome = status.as_u16().to_string();
        if status.is_client_error() || status.is_server_error() {
            self.span.fail(self.outcome.clone());
        }
    }

    /// There was no answer: `unreachable` when nothing was sent, `broken` otherwise.
    pub fn failed(mut self, connected: bool) {
        let kind = if connected { "broken" } else { "unreachable" };
        self.outcome = kind.to_owned();
        self.span.fail(kind);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.outcome == "abandoned" {
            self.span.fail("abandoned");
        }
        let outcome = std::mem::take(&mut self.outcome);
        metrics::counter!("gateway_upstream_requests_total", "peer" => self.peer.name(), "outcome" => outcome)
            .increment(1);
        metrics::histogram!("gateway_upstream_request_duration_seconds", "peer" => self.peer.name())
            .record(self.started.elapsed().as_secs_f64());
    }
}
