//! Waiting for a condition, with a bound.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// Waits until `check` gives something.
///
/// # Panics
/// When it does not within `limit`.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut check: impl FnMut() -> F,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(started.elapsed() < limit, "after {limit:?} still waiting: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Waits until `check` says yes.
///
/// # Panics
/// When it does not within `limit`.
pub async fn until<F: Future<Output = bool>>(what: &str, limit: Duration, mut check: impl FnMut() -> F) {
    eventually(what, limit, || {
        let checked = check();
        async move { checked.await.then_some(()) }
    })
    .await;
}
