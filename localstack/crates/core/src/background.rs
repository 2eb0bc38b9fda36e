//! Loops that run as long as the endpoint: one that ends by a fault is started again and reported.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// The pause before a loop that ended is started again.
const PAUSE: Duration = Duration::from_millis(500);

/// The faults of the loops of one endpoint.
#[derive(Default)]
struct Faults(Mutex<BTreeMap<&'static str, Fault>>);

/// The restarts of one loop.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Number of restarts since the endpoint started.
    pub restarts: u32,
    /// The reason of the last one.
    pub reason: String,
}

impl Context {
    /// Runs a loop in the background until the endpoint stops. If it returns or panics before, it is started again.
    pub fn keep_running<F>(&self, name: &'static str, run: impl Fn(Context) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.keep_running_until(name, self.shutdown().clone(), run);
    }

    /// Runs a loop like [`Context::keep_running`], until `stop` is cancelled.
    pub fn keep_running_until<F>(
        &self,
        name: &'static str,
        stop: CancellationToken,
        run: impl Fn(Context) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let cx = self.clone();
        tokio::spawn(async move {
            loop {
                let ended = tokio::spawn(run(cx.clone())).await;
                if stop.is_cancelled() {
                    return;
                }
                let reason = ended.map_or_else(|error| error.to_string(), |()| "it returned".to_owned());
                tracing::error!(name, reason, "a background loop ended and is started again");
                {
                    let faults = cx.shared::<Faults>();
                    let mut faults = faults.0.lock();
                    let fault = faults.entry(name).or_default();
                    fault.restarts += 1;
                    fault.reason = reason;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
    }

    /// Returns the loops that had to be started again, by name.
    pub fn background_faults(&self) -> BTreeMap<&'static str, Fault> {
        self.shared::<Faults>().0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::testing::context;

    #[tokio::test]
    async fn a_loop_that_panics_or_returns_is_started_again_and_reported() {
        let (cx, _folder) = context();
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        cx.keep_running("test", move |cx| {
            let run = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                match run {
                    0 => panic!("a full disk"),
                    1 => {}
                    _ => cx.shutdown().cancelled().await,
                }
            }
        });
        while runs.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(cx.background_faults()["test"].restarts, 2);
    }
}
