//! Audit records in the outbox of a service, whose relay publishes them for audit-service.

use async_trait::async_trait;
use contracts::{audit::Event, topics};
use sqlx::PgConnection;

use super::{Sink, unrecorded};
use crate::{Result, database::Pool, outbox};

/// Writes the record of a request that changed nothing, before it is answered.
pub struct Outbox(pub Pool);

#[async_trait]
impl Sink for Outbox {
    async fn write(&self, record: Event) -> sqlx::Result<()> {
        let Self(pool) = self;
        outbox::append(pool, topics::AUDIT, &record.key().to_string(), &record.encode()).await
    }
}

/// Writes the record of a change in the transaction of the change.
///
/// # Errors
/// 503 if the record cannot be written; the change must not be committed then.
pub async fn enqueue(transaction: &mut PgConnection, record: Event) -> Result<()> {
    let (key, payload) = (record.key().to_string(), record.encode());
    let enqueued = outbox::enqueue(transaction, topics::AUDIT, &key, &payload).await;
    enqueued.map_err(|error| unrecorded(&error))
}
