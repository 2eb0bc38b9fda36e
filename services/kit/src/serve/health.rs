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

/// Time limit of one check; load balancers time out after 5 s.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) type Checks = Vec<Check>;
type CheckResult = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A check of one dependency.
#[derive(Clone)]
pub(super) struct Check {
    name: &'static str,
    /// Set if the service is not ready without this dependency.
    counted: bool,
    run: Arc<dyn Fn() -> CheckResult + Send + Sync>,
}

impl Check {
    pub(super) fn new<F, Fut>(name: &'static str, counted: bool, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Self {
            name,
            counted,
            run: Arc::new(move || Box::pin(check())),
        }
    }
}

/// Returns `/health/live`: the process responds.
pub(super) fn live() -> Router {
    Router::new().route("/health/live", get(|| async { Json(json!({"status": "UP"})) }))
}

/// Returns `/health/ready`: the counted checks succeed and the service is not stopping.
pub(super) fn ready(checks: Checks, stopping: Arc<AtomicBool>) -> Router {
    Router::new().route("/health/ready", get(move || report(checks.clone(), stopping.clone())))
}

async fn report(checks: Checks, stopping: Arc<AtomicBool>) -> Response {
    let results = join_all(checks.iter().map(|check| async move {
        let result = timeout(TIMEOUT, (check.run)())
            .await
            .unwrap_or_else(|_| Err(anyhow::anyhow!("no response within 2 s")));
        (check, result)
    }))
    .await;
    let stopping = stopping.load(Ordering::Relaxed);
    let ready = !stopping && results.iter().all(|(check, result)| result.is_ok() || !check.counted);
    let checks: Map<String, Value> = results
        .into_iter()
        .map(|(check, result)| {
            let status = match result {
                Ok(()) => json!({"status": "UP", "counted": check.counted}),
                Err(error) => {
                    let reason = format!("{error:#}");
                    tracing::debug!(check = check.name, reason, "a health check failed");
                    json!({"status": "DOWN", "counted": check.counted})
                }
            };
            (check.name.to_owned(), status)
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
