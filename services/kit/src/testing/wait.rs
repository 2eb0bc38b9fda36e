//! Waiting for a condition, with a time limit.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// Pause between two checks.
const INTERVAL: Duration = Duration::from_millis(25);

/// Calls `check` until it returns a value, and returns that value.
///
/// # Panics
/// If there is none within `limit`; `what` names it in the message.
pub async fn wait_for<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut check: impl FnMut() -> F,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} in vain for {what}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Calls `check` until it returns true.
///
/// # Panics
/// If it does not within `limit`; `what` names the condition in the message.
pub async fn wait_until<F: Future<Output = bool>>(what: &str, limit: Duration, mut check: impl FnMut() -> F) {
    wait_for(what, limit, || {
        let checked = check();
        async move { checked.await.then_some(()) }
    })
    .await;
}
