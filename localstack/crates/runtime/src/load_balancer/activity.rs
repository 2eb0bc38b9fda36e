//! The time since something last moved, for the idle timeout of connections and requests.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// The last time at which a connection or a request made progress, shared by those that move its bytes.
#[derive(Clone)]
pub struct Activity(Arc<Mutex<Instant>>);

impl Default for Activity {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Activity {
    /// Records progress.
    pub fn touch(&self) {
        *self.0.lock() = Instant::now();
    }

    /// Returns the time at which the timeout ends unless something moves before.
    pub fn deadline(&self, timeout: Duration) -> Instant {
        *self.0.lock() + timeout
    }

    /// Waits until nothing has moved for the timeout.
    pub async fn idle(&self, timeout: Duration) {
        loop {
            let deadline = self.deadline(timeout);
            if deadline <= Instant::now() {
                return;
            }
            sleep_until(deadline).await;
        }
    }
}
