//! Patient events from Kafka into notifications.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::topics::{NOTIFICATION_GROUP, PATIENT, PATIENT_DLQ};
use kit::{
    database,
    kafka::{Handled, Handler, KafkaArgs, Message, TopicSpec, consume, ensure_topics},
};
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    event::Event,
    inbox::{self, Received},
};

/// Consumes until `shutdown`.
///
/// # Errors
/// When Kafka's settings are refused; a broker or database that is away is waited for.
pub async fn run(kafka: KafkaArgs, receiver: Receiver, shutdown: CancellationToken) -> anyhow::Result<()> {
    let letters = [TopicSpec {
        name: PATIENT_DLQ,
        partitions: 1,
    }];
    let created = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        created = ensure_topics(&kafka, &letters) => created,
    };
    if let Err(error) = created {
        let error = format!("{error:#}");
        tracing::warn!(
            error,
            "consuming without {PATIENT_DLQ}: a message that cannot be read will block the others"
        );
    }
    consume(kafka, NOTIFICATION_GROUP, &[PATIENT], receiver, shutdown).await
}

/// Writes the notification of each message and wakes the sender.
pub struct Receiver {
    pub pool: PgPool,
    pub wake: Arc<Notify>,
}

#[async_trait]
impl Handler for Receiver {
    async fn handle(&self, message: &Message<'_>) -> anyhow::Result<Handled> {
        let event = match Event::decode(message.payload) {
            Ok(event) => event,
            Err(reason) => return Ok(Handled::Poison(reason.to_string())),
        };
        let received = database::with_timeout(inbox::receive(&self.pool, &event)).await;
        let received = received.map_err(|error| {
            database::record_error(&error);
            anyhow::anyhow!("the notification could not be written: {}", database::describe(&error))
        })?;
        if received == Received::Queued {
            self.wake.notify_one();
        }
        metrics::counter!("notification_events_total", "outcome" => received.as_str()).increment(1);
        tracing::debug!(event.id = %event.event_id, patient.id = %event.patient_id, outcome = received.as_str(), "event");
        Ok(Handled::Done)
    }
}
