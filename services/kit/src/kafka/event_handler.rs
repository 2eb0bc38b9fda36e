//! Consumers of events whose effect is one transaction of the service's database.

use std::error::Error;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Handled, Handler, KafkaArgs, Message, TopicSpec, consume, dead_letter_topic, ensure_topics};
use crate::database;

/// A topic, and the group as which a service consumes it.
#[derive(Debug, Clone, Copy)]
pub struct Subscription {
    /// The consumer group.
    pub group: &'static str,
    /// The topic; messages that cannot be decoded go to its [`dead_letter_topic`].
    pub topic: &'static str,
}

/// The decoder of a topic's events and their effect on the service's database.
///
/// Every event handler is a [`Handler`]: a message that cannot be decoded is poison, a database error is retried.
#[async_trait]
pub trait EventHandler: Send + Sync + 'static {
    /// A decoded event.
    type Event: Send + Sync;
    /// The reason why a message is not an event; it must not quote the message.
    type DecodeError: Error;
    /// The counter of handled events, with the label `outcome`.
    const COUNTER: &'static str;

    /// Decodes the value of a message.
    ///
    /// # Errors
    /// If the message can never be decoded, however often it is delivered.
    fn decode(payload: &[u8]) -> Result<Self::Event, Self::DecodeError>;

    /// Returns the key that the event's message must have: with another one, the events of one subject are in several
    /// partitions and lose their order. `None` accepts every key.
    fn key(_: &Self::Event) -> Option<Uuid> {
        None
    }

    /// Applies an event in one transaction and returns the outcome, as the label of [`EventHandler::COUNTER`].
    ///
    /// # Errors
    /// Those of the database; the event has no effect then and is delivered again.
    async fn apply(&self, event: &Self::Event) -> sqlx::Result<&'static str>;
}

#[async_trait]
impl<H: EventHandler> Handler for H {
    async fn handle(&self, message: &Message<'_>) -> anyhow::Result<Handled> {
        let event = match H::decode(message.payload) {
            Ok(event) => event,
            Err(reason) => return Ok(Handled::Poison(reason.to_string())),
        };
        if H::key(&event).is_some_and(|key| Uuid::try_parse_ascii(message.key) != Ok(key)) {
            return Ok(Handled::Poison(
                "the key of the message is not the id of its subject".to_owned(),
            ));
        }
        let applied = database::with_timeout(self.apply(&event)).await;
        let outcome = applied.map_err(|error| {
            database::record_error(&error);
            anyhow::anyhow!("the event could not be applied: {}", database::describe(&error))
        })?;
        metrics::counter!(H::COUNTER, "outcome" => outcome).increment(1);
        tracing::debug!(
            kafka.topic = message.topic,
            kafka.partition = message.partition,
            kafka.offset = message.offset,
            outcome,
            "handled an event"
        );
        Ok(Handled::Done)
    }
}

/// Consumes the topic until `shutdown`, after creating its dead-letter topic where the platform cannot.
///
/// # Errors
/// If the settings are invalid. An unreachable broker or database is waited for.
pub(crate) async fn consume_events(
    args: KafkaArgs,
    subscription: Subscription,
    handler: impl EventHandler,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let Subscription { group, topic } = subscription;
    let dead_letters = dead_letter_topic(topic);
    let topics = [TopicSpec {
        name: &dead_letters,
        partitions: 1,
    }];
    let created = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        created = ensure_topics(&args, &topics) => created,
    };
    if let Err(error) = created {
        let error = format!("{error:#}");
        tracing::warn!(
            error,
            "{dead_letters} is missing: a message that cannot be decoded will block its partition"
        );
    }
    consume(args, group, &[topic], handler, shutdown).await
}
