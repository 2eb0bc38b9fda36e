//! Handler of patient events from Kafka.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::events::Unreadable;
use kit::database::Pool;
use kit::kafka::EventHandler;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    event::Event,
    inbox::{self, Received},
};

/// Queues a notification for each patient event, and wakes the sender.
pub struct PatientEventHandler {
    /// The database with the inbox.
    pub pool: Pool,
    /// Notified after a notification was queued.
    pub queued: Arc<Notify>,
}

#[async_trait]
impl EventHandler for PatientEventHandler {
    type Event = Event;
    type DecodeError = Unreadable;
    const COUNTER: &'static str = "notification_events_total";

    fn decode(payload: &[u8]) -> Result<Event, Unreadable> {
        Event::decode(payload)
    }

    fn key(event: &Event) -> Option<Uuid> {
        Some(event.patient_id)
    }

    async fn apply(&self, event: &Event) -> sqlx::Result<&'static str> {
        let received = inbox::receive(&self.pool, event).await?;
        if received == Received::Queued {
            self.queued.notify_one();
        }
        Ok(received.as_str())
    }
}
