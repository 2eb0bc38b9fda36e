//! Audit records of the requests, in the outbox.

use async_trait::async_trait;
use contracts::{audit::Event, topics};
use kit::audit::{self, Record, Sink};
use kit::{Result, database::Pool, outbox};
use sqlx::PgConnection;

/// Writes the record of a request that changed nothing, before it is answered.
pub(crate) struct Outbox(pub Pool);

#[async_trait]
impl Sink for Outbox {
    async fn write(&self, record: Record) -> sqlx::Result<()> {
        let Self(pool) = self;
        let event = event(record);
        outbox::append(pool, topics::AUDIT, &event.key().to_string(), &event.encode()).await
    }
}

/// Writes the record of a change in the transaction of the change.
///
/// # Errors
/// 503 if the record cannot be written; the change must not be committed then.
pub(crate) async fn enqueue(transaction: &mut PgConnection, record: Record) -> Result<()> {
    let event = event(record);
    let enqueued = outbox::enqueue(transaction, topics::AUDIT, &event.key().to_string(), &event.encode()).await;
    enqueued.map_err(|error| audit::unrecorded(&error))
}

fn event(record: Record) -> Event {
    Event {
        event_id: record.event_id,
        occurred_at: record.occurred_at,
        actor: record.actor,
        role: record.role.to_owned(),
        session: record.session,
        address: record.address,
        action: record.action.as_str().to_owned(),
        route: record.route,
        patient: record.patient,
        shown: record.shown,
        changed_fields: record.changed_fields,
        outcome: record.outcome.as_u16(),
        trace: record.trace,
        service: record.service.to_owned(),
    }
}
