//! Middleware of every route: limits, trace, log and metrics, and problems for unknown routes and methods.

use std::{
    any::Any,
    sync::{Arc, atomic::AtomicBool},
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, MatchedPath, Request},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use tower_http::catch_panic::CatchPanicLayer;

use super::{Server, health, malformed, metrics, query_parameters, security_headers, time_limit::limit_time};
use crate::{
    fhir, openapi,
    problem::Problem,
    trace::{HEADER, Kind, Span},
};

/// Returns the public router and, if it has its own address, the management router.
pub(super) fn routers(server: &mut Server, stopping: Arc<AtomicBool>) -> (Router, Option<Router>) {
    let inner = health::ready(std::mem::take(&mut server.checks), stopping).merge(metrics::routes());
    let mut public = std::mem::take(&mut server.routes).merge(health::live());
    let management = if server.management.is_some() {
        Some(layered(inner.merge(health::live()).fallback(no_route), server))
    } else {
        public = public.merge(inner);
        None
    };
    if let Some(document) = server.openapi.take() {
        let known = query_parameters::documented(&document);
        public = public.layer(middleware::from_fn_with_state(known, query_parameters::reject_unknown));
        let document = openapi::complete(&document, server.management.is_none());
        public = public.route("/v3/api-docs", get(move || async move { Json(document) }));
    }
    public = public.method_not_allowed_fallback(no_method);
    if !server.custom_fallback {
        public = public.fallback(no_route);
    }
    (layered(public, server), management)
}

fn layered(router: Router, server: &Server) -> Router {
    router
        .layer(DefaultBodyLimit::max(server.body_limit))
        .layer(CatchPanicLayer::custom(panic_response))
        .layer(middleware::from_fn_with_state(server.request_timeout, limit_time))
        .layer(middleware::from_fn(security_headers::limit_uri))
        .layer(middleware::from_fn(malformed::reject))
        .layer(middleware::from_fn(fhir::outcomes))
        .layer(middleware::from_fn(record))
        .layer(middleware::from_fn(security_headers::add_headers))
}

async fn no_route() -> Problem {
    Problem::not_found("No such route")
}

async fn no_method() -> Problem {
    Problem::new(
        http::StatusCode::METHOD_NOT_ALLOWED,
        "This route does not support this method",
    )
}

fn panic_response(_: Box<dyn Any + Send>) -> Response {
    // The panic hook has logged the source location.
    Problem::new(
        http::StatusCode::INTERNAL_SERVER_ERROR,
        "Something went wrong on our side",
    )
    .into_response()
}

/// Records each request as a span, a log line and in the metrics.
async fn record(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "-".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    let span = server_span(&request, &route);
    let mut in_flight = metrics::InFlight::start(&method, &route, span);
    let response = in_flight.span.scope(next.run(request)).await;
    let status = response.status();
    let duration = in_flight.responded(status);
    let line = async {
        if is_probe(&route) {
            tracing::debug!(http.route = route, http.status = status.as_u16(), "responded");
        } else {
            tracing::info!(
                http.method = metrics::known(&method),
                http.route = route,
                http.status = status.as_u16(),
                duration_ms = duration.as_micros() as f64 / 1000.0,
                "responded"
            );
        }
    };
    in_flight.span.scope(line).await;
    response
}

/// Returns whether only the platform requests this route, every few seconds.
fn is_probe(route: &str) -> bool {
    route.starts_with("/health") || route == "/metrics"
}

/// Starts the span of one request. Only the route's pattern is recorded: the path may contain personal data.
fn server_span(request: &Request, route: &str) -> Span {
    let header = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
    // Probes would outnumber every other trace; a traceparent shows that one is traced on purpose.
    if is_probe(route) && header.is_none() {
        return Span::unrecorded();
    }
    let method = match metrics::known(request.method()) {
        "other" => "_OTHER",
        known => known,
    };
    let verb = if method == "_OTHER" { "HTTP" } else { method };
    let name = if route == "-" {
        verb.to_owned()
    } else {
        format!("{verb} {route}")
    };
    let span = Span::continued(Kind::Server, name, header);
    span.set("http.request.method", method);
    span.set("url.scheme", "http");
    if route != "-" {
        span.set("http.route", route.to_owned());
    }
    span
}
