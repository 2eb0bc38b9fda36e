//! What stands around every route: limits, trace, log, metrics, and problems for what no route takes.

use std::{
    any::Any,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use tower_http::catch_panic::CatchPanicLayer;

use super::{Server, health, metrics};
use crate::{
    problem::Problem,
    trace::{HEADER, Trace},
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
        let document = serde_json::to_value(document).unwrap_or_default();
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
        .layer(middleware::from_fn(observe))
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

async fn observe(request: Request, next: Next) -> Response {
    let header = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
    let trace = Trace::continued(header);
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "-".to_owned());
    trace
        .scope(async move {
            let started = Instant::now();
            let response = next.run(request).await;
            let (status, took) = (response.status().as_u16(), started.elapsed());
            metrics::record(method.as_str(), &route, status, took);
            if route.starts_with("/health") || route == "/metrics" {
                tracing::debug!(http.route = route, http.status = status, "answered");
            } else {
                let milliseconds = took.as_micros() as f64 / 1000.0;
                tracing::info!(
                    http.method = method.as_str(),
                    http.route = route,
                    http.status = status,
                    duration_ms = milliseconds,
                    "answered"
                );
            }
            response
        })
        .await
}
