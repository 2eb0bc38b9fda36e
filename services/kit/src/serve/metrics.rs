//! `/metrics`, and the metrics of every request.

use std::time::{Duration, Instant};

use axum::{Router, routing::get};
use http::{Method, StatusCode, header};

use crate::{telemetry::recorder, trace::Span};

/// Status of a request whose client closed the connection before the response, as in nginx.
const CLIENT_CLOSED: u16 = 499;

/// Returns `/metrics`, in the text format of Prometheus.
pub(super) fn routes() -> Router {
    recorder::install();
    Router::new().route(
        "/metrics",
        get(|| async {
            let (status, text) = match recorder::scrape() {
                Some(text) => (StatusCode::OK, text),
                None => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
            };
            let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
            (status, kind, text)
        }),
    )
}

/// A request in flight; it is counted, and its span ends, when this is dropped.
pub(super) struct InFlight {
    pub(super) span: Span,
    method: &'static str,
    route: String,
    status: u16,
    started: Instant,
}

impl InFlight {
    /// Starts a request; `route` is the pattern, so that ids do not become labels.
    pub(super) fn start(method: &Method, route: &str, span: Span) -> Self {
        metrics::gauge!("http_requests_in_flight").increment(1);
        Self {
            span,
            method: known(method),
            route: route.to_owned(),
            status: CLIENT_CLOSED,
            started: Instant::now(),
        }
    }

    /// Sets the status of the response and returns the duration so far.
    pub(super) fn responded(&mut self, status: StatusCode) -> Duration {
        self.status = status.as_u16();
        self.started.elapsed()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!("http_requests_in_flight").decrement(1);
        if self.status == CLIENT_CLOSED {
            self.span.fail("client_closed");
        } else {
            self.span.set("http.response.status_code", i64::from(self.status));
            if self.status >= 500 {
                self.span.fail(self.status.to_string());
            }
        }
        let labels = [
            ("method", self.method.to_owned()),
            ("route", std::mem::take(&mut self.route)),
            ("status", self.status.to_string()),
        ];
        metrics::counter!("http_requests_total", &labels).increment(1);
        metrics::histogram!("http_request_duration_seconds", &labels[..2]).record(self.started.elapsed().as_secs_f64());
    }
}

/// Returns the method as a label; unknown methods share one, so that clients cannot add labels.
pub(super) fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
