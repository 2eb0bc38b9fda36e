//! Patient events from Kafka into the journal.

use async_trait::async_trait;
use contracts::{
    events::Event,
    topics::{ANALYTICS_GROUP, PATIENT, PATIENT_DLQ},
};
use kit::{
    database,
    kafka::{Handled, Handler, KafkaArgs, Message, TopicSpec, consume, ensure_topics},
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::journal;

/// Consumes until `shutdown`.
///
/// # Errors
/// When Kafka's settings are refused; a broker or database that is away is waited for.
pub async fn run(kafka: KafkaArgs, pool: PgPool, shutdown: CancellationToken) -> anyhow::Result<()> {
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
    consume(kafka, ANALYTICS_GROUP, &[PATIENT], Recorder { pool }, shutdown).await
}

/// Records each event of a message.
pub struct Recorder {
    pub pool: PgPool,
}

#[async_trait]
impl Handler for Recorder {
    async fn handle(&self, message: &Message<'_>) -> anyhow::Result<Handled> {
        let event = match Event::decode(message.payload) {
            Ok(event) => event,
            Err(reason) => return Ok(Handled::Poison(reason.to_string())),
        };
        let recorded = database::with_timeout(journal::record(&self.pool, &event)).await;
        let recorded = recorded.map_err(|error| {
            database::record_error(&error);
            anyhow::anyhow!("the event could not be recorded: {}", database::describe(&error))
        })?;
        metrics::counter!("analytics_events_total", "outcome" => recorded.as_str()).increment(1);
        tracing::debug!(event.id = %event.event_id, patient.id = %event.patient_id, outcome = recorded.as_str(), "event");
        Ok(Handled::Done)
    }
}
