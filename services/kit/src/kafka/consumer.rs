//! A consumer that sees every message at least once, in order, and never skips one silently.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use async_trait::async_trait;
use rdkafka::{
    Message, Offset,
    consumer::{CommitMode, Consumer, StreamConsumer},
    error::KafkaResult,
    message::{BorrowedMessage, Headers},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    KafkaArgs,
    letters::Letters,
    quiet,
    spans::processing,
    troubles::{Place, Troubles},
    watch::Watch,
};
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
/// The offset is stored after the handler is done, so a crash repeats messages and never loses one. A message that
/// fails holds up its own partition, for 0.2 s to 20 s between tries, and no other. A broker that is away is waited for.
///
/// Membership is not static: a task of ECS has no name that outlives it, and one that leaves hands its partitions over
/// at once, which beats a session that has to expire.
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
    let troubles = Arc::new(Troubles::default());
    let consumer: StreamConsumer<Watch> = args
        .config()
        .set("group.id", group)
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "1000")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "false")
        .set("topic.metadata.refresh.interval.ms", "5000")
        .set("session.timeout.ms", "10000")
        // For the lag: what the last fetch said of the end of each partition, without asking for it.
        .set("statistics.interval.ms", "5000")
        // A long poll that does not wake on new data would cost up to this, so it is short.
        .set("fetch.wait.max.ms", "20")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .create_with_context(Watch::new(args.context()?, troubles.clone()))
        .context("the Kafka consumer's settings are refused")?;
    consumer
        .subscribe(topics)
        .context("the topics cannot be subscribed to")?;
    let letters = Letters::new(&args, group)?;
    loop {
        let received = tokio::select! {
            () = shutdown.cancelled() => break,
            () = until(troubles.next_due()) => {
                for (place, offset) in troubles.due(Instant::now()) {
                    resume(&consumer, &troubles, &place, offset);
                }
                continue;
            }
            received = consumer.recv() => received,
        };
        let message = match received {
            Ok(message) => message,
            Err(error) => {
                let kind = error.rdkafka_error_code();
                if let Some(left_out) = quiet::tell(&format!("consumer {kind:?}")) {
                    tracing::warn!(kafka.group = group, error = %error, left_out, "waiting for Kafka");
                }
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = sleep(Duration::from_secs(1)) => {}
                }
                continue;
            }
        };
        let place = Place::of(&message);
        if troubles.holds(&place) {
            // It was fetched before its partition was paused; it comes again after the one that failed.
            continue;
        }
        let mut span = processing(&message, group, header(&message, HEADER));
        let delivered = span.scope(deliver(&message, &handler, &letters)).await;
        if delivered.is_err() {
            span.fail("handler");
        }
        drop(span);
        match delivered {
            Ok(()) => {
                troubles.over(&place);
                note_age(&message);
                if let Err(error) = consumer.store_offset_from_message(&message) {
                    // The partition went to another member, who will see the message again.
                    tracing::debug!(error = %error, "the offset could not be stored");
                }
            }
            Err(error) => {
                let pause = troubles.hold(&place, message.offset(), Instant::now());
                tracing::warn!(
                    kafka.topic = place.topic,
                    kafka.partition = place.partition,
                    kafka.offset = message.offset(),
                    pause.seconds = pause.as_secs_f64(),
                    error = format!("{error:#}"),
                    "a message will be tried again"
                );
                metrics::counter!("kafka_retries_total", "topic" => place.topic.clone()).increment(1);
                // The other partitions go on, and polling for them keeps this consumer in its group.
                if let Err(error) = consumer.pause(&place.list()) {
                    tracing::debug!(error = %error, "the partition could not be paused");
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

/// Lets a partition go on with the message that failed; when that does not work now, it is tried again.
fn resume(consumer: &StreamConsumer<Watch>, troubles: &Troubles, place: &Place, offset: i64) {
    let back = || -> KafkaResult<()> {
        let list = place.list();
        consumer.resume(&list)?;
        let patience = Duration::from_secs(2);
        let sought = consumer.seek(&place.topic, place.partition, Offset::Offset(offset), patience);
        sought.inspect_err(|_| drop(consumer.pause(&list)))
    };
    match back() {
        Ok(()) => troubles.resumed(place),
        Err(error) => {
            tracing::warn!(
                kafka.topic = place.topic,
                kafka.partition = place.partition,
                error = %error,
                "a partition cannot go back to the message that failed; trying again"
            );
            troubles.put_off(place, Instant::now() + Duration::from_secs(1));
        }
    }
}

async fn deliver(message: &BorrowedMessage<'_>, handler: &impl Handler, letters: &Letters) -> anyhow::Result<()> {
    let incoming = Incoming {
        topic: message.topic(),
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().unwrap_or_default(),
        payload: message.payload().unwrap_or_default(),
    };
    let outcome = match handler.handle(&incoming).await? {
        Outcome::Done => "done",
        Outcome::Poison(reason) => {
            letters.bury(message, &reason).await?;
            "poison"
        }
    };
    let topic = incoming.topic.to_owned();
    metrics::counter!("kafka_messages_total", "topic" => topic, "outcome" => outcome).increment(1);
    Ok(())
}

/// How old the message was when it was handled.
fn note_age(message: &BorrowedMessage<'_>) {
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
