//! The requests to this service itself, which are records of the chain too.

use async_trait::async_trait;
use contracts::audit::Event;
use kit::audit::{Record, Sink};
use kit::database::Pool;

use crate::chain;

/// Appends the records of this service's own requests, before they are answered.
pub struct OwnRequests(pub Pool);

#[async_trait]
impl Sink for OwnRequests {
    async fn write(&self, record: Record) -> sqlx::Result<()> {
        let Self(pool) = self;
        let event = Event {
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
        };
        chain::append(pool, &event).await.map(drop)
    }
}
