//! What stands around every route: limits, trace, log, metrics, and problems for what no route takes.

use std::{
    any::Any,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use tower_http::catch_panic::CatchPanicLayer;

use super::{Server, guard, health, metrics};
use crate::{
    openapi,
    problem::Problem,
    trace::{HEADER, Kind, Span},
};

/// The public router and, where it is apart, the one of the management address.
pub(super) fn routers(server: &mut Server, stopping: Arc<AtomicBool>) -> (Router, Option<Router>) {
    let inner = health::ready(std::mem::take(&mut server.checks), stopping).merge(metrics::routes());
    let mut public = std::mem::take(&mut server.routes).merge(health::live());
    let management = match server.management {
        Some(_) => Some(around(inner.merge(health::live()).fallback(no_route), server)),
        None => {
            public = public.merge(inner);
            None
        }
    };
    if let Some(document) = server.openapi.take() {
        let document = openapi::complete(&document, server.management.is_none());
        public = public.route("/v3/api-docs", get(move || async move { Json(document) }));
    }
    public = public.method_not_allowed_fallback(no_method);
    if !server.own_fallback {
        public = public.fallback(no_route);
    }
    (around(public, server), management)
}

fn around(router: Router, server: &Server) -> Router {
    router
        .layer(DefaultBodyLimit::max(server.body_limit))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(server.request_timeout, limit_time))
        .layer(middleware::from_fn(guard::address))
        .layer(middleware::from_fn(observe))
        .layer(middleware::from_fn(guard::headers))
}

async fn no_route() -> Problem {
    Problem::not_found("No such route")
}

async fn no_method() -> Problem {
    Problem::new(
        http::StatusCode::METHOD_NOT_ALLOWED,
        "This route does not take this method",
    )
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    // The panic hook has logged the place.
    Problem::new(
        http::StatusCode::INTERNAL_SERVER_ERROR,
        "Something went wrong on our side",
    )
    .into_response()
}

async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable("The request took too long").into_response(),
    }
}

/// Gives each request its span, its log line and its place in the metrics.
async fn observe(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "-".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    let span = server_span(&request, &route);
    let mut answering = metrics::Answering::started(&method, &route, span);
    let response = answering.span.scope(next.run(request)).await;
    let status = response.status();
    let took = answering.answered(status);
    let line = async {
        if quiet(&route) {
            tracing::debug!(http.route = route, http.status = status.as_u16(), "answered");
        } else {
            tracing::info!(
                http.method = metrics::known(&method),
                http.route = route,
                http.status = status.as_u16(),
                duration_ms = took.as_micros() as f64 / 1000.0,
                "answered"
            );
        }
    };
    answering.span.scope(line).await;
    response
}

/// What nobody but the platform asks, every few seconds.
fn quiet(route: &str) -> bool {
    route.starts_with("/health") || route == "/metrics"
}

/// The span of one request. Its path is left out, as it may hold anything; the route's pattern says enough.
fn server_span(request: &Request, route: &str) -> Span {
    let header = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
    // The platform's questions would bury everything else, unless somebody traces them on purpose.
    if quiet(route) && header.is_none() {
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
    let mut span = Span::continued(Kind::Server, name, header);
    span.set("http.request.method", method);
    span.set("url.scheme", "http");
    if route != "-" {
        span.set("http.route", route.to_owned());
    }
    span
}
