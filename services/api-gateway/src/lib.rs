#![doc = include_str!("../README.md")]

pub mod config;
mod state;

mod admission;
mod api;
mod docs;
mod export;
mod proxy;
mod route;
mod swagger_ui;

pub mod body;
mod caller;
pub mod concurrency_limit;
pub mod cors;
pub mod rate_limit;

mod attempt;
pub mod backend;
mod connector;
mod forwarded_headers;
pub mod upstream;

pub use api::{openapi, router};
pub use config::Config;
pub use state::AppState;

/// Registers the descriptions of this service's own metrics.
pub fn describe_metrics() {
    use metrics::{Unit, describe_counter as counter, describe_histogram as histogram};

    counter!(
        "gateway_upstream_requests_total",
        "Attempts to send a request to a service, by peer and outcome"
    );
    histogram!(
        "gateway_upstream_request_duration_seconds",
        Unit::Seconds,
        "Response time of the services, by peer"
    );
    counter!(
        "gateway_upstream_failures_total",
        "Requests that got no response from their service, by peer"
    );
    counter!(
        "gateway_rate_limited_total",
        "Requests rejected with 429 by the rate limit or the concurrency limit"
    );
}
