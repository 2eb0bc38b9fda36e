//! Handler of audit events from Kafka.

use async_trait::async_trait;
use contracts::audit::{Event, Unreadable};
use kit::database::Pool;
use kit::kafka::EventHandler;

use crate::chain;

/// Appends audit events to the chain.
pub struct AuditEventHandler {
    /// The database with the chain.
    pub pool: Pool,
}

#[async_trait]
impl EventHandler for AuditEventHandler {
    type Event = Event;
    type DecodeError = Unreadable;
    const COUNTER: &'static str = "audit_events_total";

    fn decode(payload: &[u8]) -> Result<Event, Unreadable> {
        Event::decode(payload)
    }

    async fn apply(&self, event: &Event) -> sqlx::Result<&'static str> {
        Ok(chain::append(&self.pool, event).await?.as_str())
    }
}
