//! ECS state that exists only while the endpoint runs. Everything else is in the store.

use std::collections::HashMap;

use crate::store::Store;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

#[derive(Default)]
pub struct EcsState {
    lock: Mutex<()>,
    scheduler: Notify,
    /// Tokens that ask running tasks to stop, by task ID.
    stop_tokens: Mutex<HashMap<String, CancellationToken>>,
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

    pub fn stop_tokens(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.stop_tokens.lock()
    }
}
