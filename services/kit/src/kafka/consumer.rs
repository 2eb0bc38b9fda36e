//! A consumer that sees every message at least once, in order, and never skips one silently.

use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use rdkafka::{
    Message, Offset,
    consumer::{CommitMode, Consumer, StreamConsumer},
    message::{BorrowedMessage, Header, Headers, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{KafkaArgs, producer, spans::processing};
use crate::trace::HEADER;

/// A message as a handler sees it.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// The topic it came from.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// Its key; empty when it has none.
    pub key: &'a [u8],
    /// Its value; empty when it has none.
    pub payload: &'a [u8],
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its effect is committed.
    Done,
    /// It can never be handled, for this reason; it goes to `<topic>.dlq`.
    Poison(String),
}

/// What a service does with a message.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles one message; an error means "not now", and the same message comes again after a pause.
    async fn handle(&self, message: &Incoming<'_>) -> anyhow::Result<Outcome>;
}

/// Consumes until `shutdown`, then commits and leaves the group.
///
/// The offset is stored after the handler is done, so a crash repeats messages and never loses one. A broker that is
/// away is waited for.
///
/// # Errors
/// When the settings are refused.
pub async fn consume(
    args: KafkaArgs,
    group: &str,
    topics: &[&str],
    handler: impl Handler,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let consumer: StreamConsumer = args
        .config()?
        .set("group.id", group)
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "1000")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "false")
        .set("topic.metadata.refresh.interval.ms", "5000")
        .set("session.timeout.ms", "10000")
        // A long poll that does not wake on new data would cost up to this, so it is short.
        .set("fetch.wait.max.ms", "20")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .create()
        .context("the Kafka consumer's settings are refused")?;
    consumer
        .subscribe(topics)
        .context("the topics cannot be subscribed to")?;
    let letters = producer(&args)?;
    let mut pause = Pause::default();
    loop {
        let received = tokio::select! {
            () = shutdown.cancelled() => break,
            received = consumer.recv() => received,
        };
        let message = match received {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(kafka.group = group, error = %error, "waiting for Kafka");
                wait(Duration::from_secs(1), &shutdown).await;
                continue;
            }
        };
        let mut span = processing(&message, group, header(&message, HEADER));
        let delivered = span.scope(deliver(&message, &handler, &letters)).await;
        if delivered.is_err() {
            span.fail("handler");
        }
        drop(span);
        match delivered {
            Ok(()) => {
                pause = Pause::default();
                if let Err(error) = consumer.store_offset_from_message(&message) {
                    // The partition went to another member, who will see the message again.
                    tracing::debug!(error = %error, "the offset could not be stored");
                }
            }
            Err(error) => {
                let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
                tracing::warn!(
                    kafka.topic = topic,
                    kafka.partition = partition,
                    kafka.offset = offset,
                    error = format!("{error:#}"),
                    "a message will be tried again"
                );
                metrics::counter!("kafka_retries_total", "topic" => topic.to_owned()).increment(1);
                wait(pause.next(), &shutdown).await;
                // Going back, instead of trying in place, keeps the consumer polling, and so in its group.
                if let Err(error) = consumer.seek(topic, partition, Offset::Offset(offset), Duration::from_secs(5)) {
                    tracing::debug!(error = %error, "the partition went to another member");
                }
            }
        }
    }
    tokio::task::spawn_blocking(move || {
        let _ = consumer.commit_consumer_state(CommitMode::Sync);
        consumer.unsubscribe();
        drop(consumer);
    })
    .await
    .context("the consumer could not leave its group")
}

async fn deliver(
    message: &BorrowedMessage<'_>,
    handler: &impl Handler,
    letters: &FutureProducer,
) -> anyhow::Result<()> {
    let incoming = Incoming {
        topic: message.topic(),
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().unwrap_or_default(),
        payload: message.payload().unwrap_or_default(),
    };
    let topic = incoming.topic.to_owned();
    match handler.handle(&incoming).await? {
        Outcome::Done => {
            metrics::counter!("kafka_messages_total", "topic" => topic, "outcome" => "done").increment(1);
            Ok(())
        }
        Outcome::Poison(reason) => {
            bury(&incoming, &reason, letters).await?;
            metrics::counter!("kafka_messages_total", "topic" => topic, "outcome" => "poison").increment(1);
            Ok(())
        }
    }
}

/// Puts a message that cannot be handled on the dead-letter topic, and waits until it is there.
async fn bury(incoming: &Incoming<'_>, reason: &str, letters: &FutureProducer) -> anyhow::Result<()> {
    let (partition, offset) = (incoming.partition.to_string(), incoming.offset.to_string());
    let told = [
        ("reason", reason),
        ("topic", incoming.topic),
        ("partition", &partition),
        ("offset", &offset),
    ];
    let headers = told.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header {
            key,
            value: Some(value.as_bytes()),
        })
    });
    let grave = format!("{}.dlq", incoming.topic);
    let record = FutureRecord::to(&grave)
        .key(incoming.key)
        .payload(incoming.payload)
        .headers(headers);
    let sent = letters.send(record, Duration::from_secs(5)).await;
    sent.map_err(|(error, _)| error)
        .with_context(|| format!("{grave} does not take the message"))?;
    tracing::error!(
        kafka.topic = incoming.topic,
        kafka.partition = incoming.partition,
        kafka.offset = incoming.offset,
        reason,
        "a message that cannot be handled went to {grave}"
    );
    Ok(())
}

fn header<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a str> {
    let headers = message.headers()?;
    let header = headers.iter().find(|header| header.key == name)?;
    std::str::from_utf8(header.value?).ok()
}

async fn wait(pause: Duration, shutdown: &CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = sleep(pause) => {}
    }
}

/// Pauses that double from 0.2 s to 20 s.
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Duration::from_millis(200))
    }
}

impl Pause {
    fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(Duration::from_secs(20));
        now
    }
}
