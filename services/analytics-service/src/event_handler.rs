//! Handler of patient events from Kafka.

use async_trait::async_trait;
use contracts::events::{Event, Unreadable};
use kit::database::Pool;
use kit::kafka::EventHandler;
use uuid::Uuid;

use crate::journal;

/// Records patient events in the journal.
pub struct PatientEventHandler {
    /// The database with the journal.
    pub pool: Pool,
}

#[async_trait]
impl EventHandler for PatientEventHandler {
    type Event = Event;
    type DecodeError = Unreadable;
    const COUNTER: &'static str = "analytics_events_total";

    fn decode(payload: &[u8]) -> Result<Event, Unreadable> {
        Event::decode(payload)
    }

    fn key(event: &Event) -> Option<Uuid> {
        Some(event.patient_id)
    }

    async fn apply(&self, event: &Event) -> sqlx::Result<&'static str> {
        Ok(journal::record(&self.pool, event).await?.as_str())
    }
}
