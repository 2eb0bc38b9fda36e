//! ECS state that exists only while the endpoint runs. Everything else is in the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::runtime::task::memory::Usage;
use crate::store::Store;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// From one reading of the memory of all tasks to the next.
const MEMORY_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct EcsState {
    lock: Mutex<()>,
    scheduler: Notify,
    /// Tokens that ask running tasks to stop, by task ID.
    stop_tokens: Mutex<HashMap<String, CancellationToken>>,
    /// The memory of all tasks, and the time at which it was read.
    memory: Mutex<Option<(Instant, Arc<Usage>)>>,
}

impl EcsState {
    /// Makes reading records and writing them back one step. Held while a few documents are read and written, never
    /// across an await.
    ///
    /// # Panics
    /// In a transaction of the store, since another holder of the lock may wait for that transaction.
    pub fn lock(&self) -> MutexGuard<'_, ()> {
        assert!(!Store::is_in_transaction(), "the lock is taken before the transaction");
        self.lock.lock()
    }

    /// Makes the scheduler run now instead of at its next interval.
    pub fn wake_scheduler(&self) {
        self.scheduler.notify_one();
    }

    pub async fn scheduler_woken(&self) {
        self.scheduler.notified().await;
    }

    /// Returns the memory of all tasks, at most a second old.
    pub fn memory_usage(&self) -> Arc<Usage> {
        let mut memory = self.memory.lock();
        let current = memory.as_ref().filter(|(read, _)| read.elapsed() < MEMORY_INTERVAL);
        if let Some((_, usage)) = current {
            return usage.clone();
        }
        let usage = Arc::new(Usage::measure());
        *memory = Some((Instant::now(), usage.clone()));
        usage
    }

    pub fn stop_tokens(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.stop_tokens.lock()
    }
}
