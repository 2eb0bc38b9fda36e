//! Keeps the server processes behind records running: PostgreSQL for RDS instances, brokers for MSK clusters.

use std::marker::PhantomData;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;

use crate::records::{Record, Records};
use crate::{AwsError, Context};

const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A kind of record with a server process behind each one.
#[async_trait]
pub trait Supervised: Send + Sync + 'static {
    const RECORDS: Records;

    /// Returns true between the end of the creation and the start of the deletion.
    fn is_active(record: &Record) -> bool;

    /// Returns true if the record is deleted at the start of the endpoint, because its creation or deletion was interrupted.
    fn is_unfinished(record: &Record) -> bool {
        !Self::is_active(record)
    }

    /// Starts the server unless it runs with its current settings. Failures are logged and tried again.
    async fn ensure_running(cx: &Context, record: &Record);

    /// Stops the server and keeps its data.
    async fn stop(cx: &Context, record: &Record);

    /// Deletes the record, its server and its data.
    async fn delete(cx: &Context, id: &str) -> Result<(), AwsError>;
}

/// Held while an address is allocated, or while a server is started, changed or deleted; one lock for each kind.
pub struct LifecycleLock<T>(Mutex<()>, PhantomData<fn() -> T>);

impl<T> Default for LifecycleLock<T> {
    fn default() -> Self {
        Self(Mutex::default(), PhantomData)
    }
}

impl<T> LifecycleLock<T> {
    pub async fn hold(&self) -> MutexGuard<'_, ()> {
        self.0.lock().await
    }
}

/// Deletes the records whose creation or deletion the last run of the endpoint did not complete. The stack that asked
/// for them repeats its operation.
pub async fn delete_unfinished<T: Supervised>(cx: &Context) -> Result<(), AwsError> {
    for record in T::RECORDS.list(cx)? {
        if T::is_unfinished(&record) {
            T::delete(cx, &record.id).await?;
        }
    }
    Ok(())
}

/// Adopts the servers that still run, starts the others, and checks all of them until the endpoint stops.
pub async fn start<T: Supervised>(cx: &Context) -> Result<(), AwsError> {
    let records = T::RECORDS.list(cx)?;
    join_all(records.iter().map(|record| check::<T>(cx, &record.id))).await;
    cx.keep_running(T::RECORDS.0, watch::<T>);
    Ok(())
}

async fn watch<T: Supervised>(cx: Context) {
    loop {
        tokio::select! {
            () = cx.shutdown().cancelled() => break,
            () = sleep(CHECK_INTERVAL) => {}
        }
        for record in T::RECORDS.list(&cx).unwrap_or_default() {
            let part = cx.extension::<LifecycleLock<T>>();
            let _held = part.hold().await;
            check::<T>(&cx, &record.id).await;
        }
    }
}

/// Reads the record again, since it may have changed before the lock was free.
async fn check<T: Supervised>(cx: &Context, id: &str) {
    if let Ok(Some(record)) = T::RECORDS.get(cx, id)
        && T::is_active(&record)
        && !cx.shutdown().is_cancelled()
    {
        T::ensure_running(cx, &record).await;
    }
}

/// Stops every server when the endpoint stops.
pub async fn stop_all<T: Supervised>(cx: &Context) {
    let part = cx.extension::<LifecycleLock<T>>();
    let _held = part.hold().await;
    let records = T::RECORDS.list(cx).unwrap_or_default();
    join_all(records.iter().map(|record| T::stop(cx, record))).await;
}
