//! Creation of the topics that the service publishes to, where the platform does not create them.

use contracts::topics;
use kit::kafka::{self, KafkaArgs, TopicSpec};
use tokio_util::sync::CancellationToken;

const TOPICS: [TopicSpec; 4] = [
    TopicSpec {
        name: topics::PATIENT,
        partitions: topics::PATIENT_PARTITIONS,
    },
    TopicSpec {
        name: topics::PATIENT_DLQ,
        partitions: 1,
    },
    TopicSpec {
        name: topics::AUDIT,
        partitions: topics::AUDIT_PARTITIONS,
    },
    TopicSpec {
        name: topics::AUDIT_DLQ,
        partitions: 1,
    },
];

/// Creates the topics if `KAFKA_CREATE_TOPICS` is set; a failure is logged and retried.
///
/// # Errors
/// Never; the signature is that of a background task.
pub async fn ensure(args: KafkaArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            created = kafka::ensure_topics(&args, &TOPICS) => match created {
                Ok(()) => return Ok(()),
                Err(error) => tracing::warn!(error = format!("{error:#}"), "cannot create the topics; retrying"),
            },
        }
    }
}
