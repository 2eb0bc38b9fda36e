//! Liveness and readiness.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::future::join_all;
use http::StatusCode;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

/// How long one check may take; load balancers give up after 5 s.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) type Checks = Vec<Check>;
type Verdict = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// One thing that the service needs or uses.
#[derive(Clone)]
pub(super) struct Check {
    name: &'static str,
    counted: bool,
    ask: Arc<dyn Fn() -> Verdict + Send + Sync>,
}

impl Check {
    pub(super) fn new<F, Fut>(name: &'static str, counted: bool, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self {
            name,
            counted,
            ask: Arc::new(move || Box::pin(check())),
        }
    }
}

/// `/health/live`: the process answers.
pub(super) fn live() -> Router {
    Router::new().route("/health/live", get(|| async { Json(json!({"status": "UP"})) }))
}

/// `/health/ready`: the counted checks hold and the service is not stopping.
pub(super) fn ready(checks: Checks, stopping: Arc<AtomicBool>) -> Router {
    Router::new().route("/health/ready", get(move || answer(checks.clone(), stopping.clone())))
}

async fn answer(checks: Checks, stopping: Arc<AtomicBool>) -> Response {
    let verdicts = join_all(checks.iter().map(|check| async move {
        let verdict = timeout(PATIENCE, (check.ask)())
            .await
            .unwrap_or_else(|_| Err("no answer within 2 s".into()));
        (check, verdict)
    }))
    .await;
    let stopping = stopping.load(Ordering::Relaxed);
    let ready = !stopping
        && verdicts
            .iter()
            .all(|(check, verdict)| verdict.is_ok() || !check.counted);
    let checks: Map<String, Value> = verdicts
        .into_iter()
        .map(|(check, verdict)| {
            let told = match verdict {
                Ok(()) => json!({"status": "UP", "counted": check.counted}),
                Err(reason) => {
                    tracing::debug!(check = check.name, reason, "a health check failed");
                    json!({"status": "DOWN", "counted": check.counted})
                }
            };
            (check.name.to_owned(), told)
        })
        .collect();
    let status = match (ready, stopping) {
        (true, _) => "UP",
        (false, true) => "STOPPING",
        (false, false) => "DOWN",
    };
    let code = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(json!({"status": status, "checks": checks}))).into_response()
}
