//! The at-least-once consumer: every message in order, and none skipped silently.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use async_trait::async_trait;
use futures::future::BoxFuture;
use rdkafka::{
    Message as _, Offset,
    consumer::{CommitMode, Consumer, StreamConsumer},
    error::KafkaResult,
    message::{BorrowedMessage, Headers},
};
use tokio_util::sync::CancellationToken;

use super::{
    KafkaArgs,
    consumer_context::ConsumerContext,
    dead_letters::DeadLetterProducer,
    lag,
    outage::Outage,
    paused_partitions::{PausedPartitions, TopicPartition},
    spans::consumer_span,
};
use crate::trace::HEADER;

/// Timeout of a seek, and the pause after one that failed.
const SEEK_TIMEOUT: Duration = Duration::from_secs(2);
const SEEK_RETRY: Duration = Duration::from_secs(1);

/// Maximum time between two polls, should the notification of a new message be lost: nothing else wakes this consumer since
/// it has no statistics, and after a rebalance under load one stood still that way.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A message as a handler receives it.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset in the partition.
    pub offset: i64,
    /// Its key; empty when it has none.
    pub key: &'a [u8],
    /// Its value; empty when it has none.
    pub payload: &'a [u8],
}

/// The result of handling a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    /// The effect of the message is committed.
    Done,
    /// The message can never be handled, for this reason; it becomes a dead letter.
    Poison(String),
}

/// The work of a service for each message.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles one message. After an error the same message is delivered again, after a pause.
    async fn handle(&self, message: &Message<'_>) -> anyhow::Result<Handled>;
}

/// Consumes until `shutdown`, then commits and leaves the group.
///
/// The offset is stored after the handler is done, so a crash repeats messages and never loses one. A message that
/// fails blocks only its own partition; it is retried after 0.2 s to 20 s. The consumer waits for an unreachable broker.
///
/// Membership is not static: an ECS task has no name that outlives it, and a member that leaves releases its partitions
/// at once, without waiting for the session timeout.
///
/// # Errors
/// If the settings are invalid.
pub fn consume<'a>(
    args: KafkaArgs,
    group: &'a str,
    topics: &'a [&str],
    handler: impl Handler + 'a,
    shutdown: CancellationToken,
) -> BoxFuture<'a, anyhow::Result<()>> {
    Box::pin(consume_with(args, group, topics, Box::new(handler), shutdown))
}

async fn consume_with(
    args: KafkaArgs,
    group: &str,
    topics: &[&str],
    handler: Box<dyn Handler + '_>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let paused = Arc::new(PausedPartitions::default());
    let consumer: StreamConsumer<ConsumerContext> = args
        .config()
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
        .create_with_context(ConsumerContext::new(args.context()?, paused.clone()))
        .context("the settings of the Kafka consumer are invalid")?;
    consumer.subscribe(topics).context("cannot subscribe to the topics")?;
    let dead_letters = DeadLetterProducer::new(&args, group)?;
    let (consumer, outage) = (Arc::new(consumer), Arc::new(Outage::default()));
    let lag = tokio::spawn(lag::measure_until(
        shutdown.clone(),
        consumer.clone(),
        topics.iter().map(|&topic| topic.to_owned()).collect(),
        outage.clone(),
    ));
    loop {
        let received = tokio::select! {
            () = shutdown.cancelled() => break,
            () = until(paused.next_retry()) => {
                for (partition, offset) in paused.due(Instant::now()) {
                    resume(&consumer, &paused, &partition, offset);
                }
                continue;
            }
            received = consumer.recv() => received,
            () = tokio::time::sleep(POLL_INTERVAL) => continue,
        };
        let message = match received {
            Ok(message) => message,
            // librdkafka retries by itself and has queued these errors before anything else, so a pause would only delay the
            // messages behind them.
            Err(error) => {
                if outage.count(Instant::now()) {
                    tracing::warn!(kafka.group = group, error = %error, "waiting for Kafka");
                }
                continue;
            }
        };
        let partition = TopicPartition::of(&message);
        if paused.is_paused(&partition) {
            // It was fetched before its partition was paused; it is fetched again after the one that failed.
            continue;
        }
        let span = consumer_span(&message, group, header(&message, HEADER));
        let delivered = span.scope(deliver(&message, &*handler, &dead_letters)).await;
        if delivered.is_err() {
            span.fail("handler");
        }
        drop(span);
        match delivered {
            Ok(()) => {
                paused.clear(&partition);
                record_age(&message);
                if let Err(error) = consumer.store_offset_from_message(&message) {
                    // The partition was assigned to another member, which receives the message again.
                    tracing::debug!(error = %error, "the offset could not be stored");
                }
            }
            Err(error) => {
                let pause = paused.pause(&partition, message.offset(), Instant::now());
                tracing::warn!(
                    kafka.topic = partition.topic,
                    kafka.partition = partition.partition,
                    kafka.offset = message.offset(),
                    pause.seconds = pause.as_secs_f64(),
                    error = format!("{error:#}"),
                    "a message failed and will be retried"
                );
                metrics::counter!("kafka_retries_total", "topic" => partition.topic.clone()).increment(1);
                // The other partitions continue, and polling for them keeps this consumer in its group.
                if let Err(error) = consumer.pause(&partition.to_list()) {
                    tracing::debug!(error = %error, "the partition could not be paused");
                }
            }
        }
    }
    // The consumer leaves its group when its last owner drops it.
    let _ = lag.await;
    tokio::task::spawn_blocking(move || {
        let _ = consumer.commit_consumer_state(CommitMode::Sync);
        consumer.unsubscribe();
        drop(consumer);
    })
    .await
    .context("the consumer could not leave its group")
}

/// Reads a partition again from the message that failed, or postpones that if the seek fails.
fn resume(
    consumer: &StreamConsumer<ConsumerContext>,
    paused: &PausedPartitions,
    partition: &TopicPartition,
    offset: i64,
) {
    let seek = || -> KafkaResult<()> {
        let list = partition.to_list();
        consumer.resume(&list)?;
        let offset = Offset::Offset(offset);
        let sought = consumer.seek(&partition.topic, partition.partition, offset, SEEK_TIMEOUT);
        sought.inspect_err(|_| drop(consumer.pause(&list)))
    };
    match seek() {
        Ok(()) => paused.resumed(partition),
        Err(error) => {
            tracing::warn!(
                kafka.topic = partition.topic,
                kafka.partition = partition.partition,
                error = %error,
                "cannot seek to the message that failed; retrying"
            );
            paused.postpone(partition, Instant::now() + SEEK_RETRY);
        }
    }
}

async fn deliver(
    message: &BorrowedMessage<'_>,
    handler: &dyn Handler,
    dead_letters: &DeadLetterProducer,
) -> anyhow::Result<()> {
    let delivery = Message {
        topic: message.topic(),
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().unwrap_or_default(),
        payload: message.payload().unwrap_or_default(),
    };
    let outcome = match handler.handle(&delivery).await? {
        Handled::Done => "done",
        Handled::Poison(reason) => {
            dead_letters.send(message, &reason).await?;
            "poison"
        }
    };
    let topic = delivery.topic.to_owned();
    metrics::counter!("kafka_messages_total", "topic" => topic, "outcome" => outcome).increment(1);
    Ok(())
}

/// Records the age of a message that was just handled.
fn record_age(message: &BorrowedMessage<'_>) {
    let written = message.timestamp().to_millis().and_then(|at| u64::try_from(at).ok());
    if let (Some(written), Ok(now)) = (written, SystemTime::now().duration_since(UNIX_EPOCH)) {
        let age = now.saturating_sub(Duration::from_millis(written));
        metrics::gauge!("kafka_last_message_age_seconds", "topic" => message.topic().to_owned()).set(age.as_secs_f64());
    }
}

fn header<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a str> {
    let headers = message.headers()?;
    let header = headers.iter().find(|header| header.key == name)?;
    std::str::from_utf8(header.value?).ok()
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}
