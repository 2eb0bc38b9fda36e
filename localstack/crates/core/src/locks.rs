//! Locks by key, which may be held across an `await`.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

/// One lock for each key of a kind `T`; an [extension](crate::Context::extension) of the context.
pub struct KeyedLocks<T>(
    Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    PhantomData<fn() -> T>,
);

impl<T> Default for KeyedLocks<T> {
    fn default() -> Self {
        Self(Mutex::default(), PhantomData)
    }
}

impl<T> KeyedLocks<T> {
    /// Waits for the lock of a key. The guard releases it.
    pub async fn lock(&self, key: &str) -> OwnedMutexGuard<()> {
        self.of(key).lock_owned().await
    }

    fn of(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock();
        if let Some(lock) = locks.get(key).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        locks.insert(key.to_owned(), Arc::downgrade(&lock));
        lock
    }
}
