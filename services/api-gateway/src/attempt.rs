//! One attempt to send a request to a service: its span and its metrics.

use std::time::Instant;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use kit::trace::{HEADER, Kind, Span};

use crate::backend::Backend;

/// An attempt in progress; dropping it ends its span and counts it.
#[derive(Debug)]
pub struct Attempt {
    backend: Backend,
    span: Span,
    started: Instant,
    /// `abandoned` until the attempt ends: the service was slow, or the client disconnected.
    outcome: String,
}

impl Attempt {
    /// Starts an attempt; the first one has number 0.
    pub fn start(backend: Backend, method: &Method, number: usize) -> Self {
        // Only `proxy::METHODS` arrive here, so the span's name is one of a few.
        let span = Span::child(Kind::Client, method.to_string());
        span.set("http.request.method", method.to_string());
        span.set("peer.service", backend.name());
        if number > 0 {
            span.set("http.request.resend_count", i64::try_from(number).unwrap_or(i64::MAX));
        }
        Self {
            backend,
            span,
            started: Instant::now(),
            outcome: "abandoned".to_owned(),
        }
    }

    /// Adds the header that makes the service continue this trace.
    pub fn inject_trace(&self, headers: &mut HeaderMap) {
        if let Some(Ok(trace)) = self.span.traceparent().map(HeaderValue::try_from) {
            headers.insert(HEADER, trace);
        }
    }

    /// Ends the attempt with a response of any status.
    pub fn succeed(mut self, status: StatusCode) {
        self.span.set("http.response.status_code", i64::from(status.as_u16()));
        self.outcome = status.as_u16().to_string();
        if status.is_client_error() || status.is_server_error() {
            self.span.fail(self.outcome.clone());
        }
    }

    /// Ends the attempt without a response: `unreachable` if nothing was sent, otherwise `broken`.
    pub fn fail(mut self, connected: bool) {
        let outcome = if connected { "broken" } else { "unreachable" };
        outcome.clone_into(&mut self.outcome);
        self.span.fail(outcome);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.outcome == "abandoned" {
            self.span.fail("abandoned");
        }
        let outcome = std::mem::take(&mut self.outcome);
        metrics::counter!("gateway_upstream_requests_total", "peer" => self.backend.name(), "outcome" => outcome)
            .increment(1);
        metrics::histogram!("gateway_upstream_request_duration_seconds", "peer" => self.backend.name())
            .record(self.started.elapsed().as_secs_f64());
    }
}
