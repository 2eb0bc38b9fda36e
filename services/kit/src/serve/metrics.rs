//! Prometheus metrics of the process.

use std::{sync::OnceLock, time::Duration};

use axum::{Router, routing::get};
use http::{StatusCode, header};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the latency histogram, in seconds.
const BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// `/metrics`, in the text format of Prometheus.
pub(super) fn routes() -> Router {
    let _ = handle();
    Router::new().route(
        "/metrics",
        get(|| async {
            match handle() {
                Some(handle) => {
                    handle.run_upkeep();
                    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
                    (StatusCode::OK, kind, handle.render())
                }
                None => (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    [(header::CONTENT_TYPE, "text/plain")],
                    String::new(),
                ),
            }
        }),
    )
}

/// Counts one answered request; `route` is the pattern, so that ids do not become labels.
pub(super) fn record(method: &str, route: &str, status: u16, took: Duration) {
    let labels = [
        ("method", method.to_owned()),
        ("route", route.to_owned()),
        ("status", status.to_string()),
    ];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", &labels[..2]).record(took.as_secs_f64());
}

fn handle() -> Option<&'static PrometheusHandle> {
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS).ok()?.build_recorder();
            let handle = recorder.handle();
            metrics::set_global_recorder(recorder).ok()?;
            Some(handle)
        })
        .as_ref()
}
