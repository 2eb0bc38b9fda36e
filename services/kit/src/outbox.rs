//! Transactional outbox: events that are published if and only if the transaction that caused them commits.
//!
//! [`enqueue`] writes an event in the transaction of the change; [`relay`] publishes the events. One process relays at a
//! time, and an event is deleted once the broker has acknowledged it, so each is published at least once and those of
//! one key in their order. The schema is [`SCHEMA`], which a service adds to its own migrations.

mod backlog;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use futures::future::{BoxFuture, join_all};
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::{FutureRecord, Producer as _, PurgeConfig},
    types::RDKafkaErrorCode,
};
use sqlx::{Connection, PgConnection, PgExecutor};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    database::{self, Pool},
    kafka::{self, KafkaArgs, Producer, producer_without_timeout},
    trace::{self, HEADER},
};

/// The table that the outbox needs.
pub const SCHEMA: &str = "create table outbox (
    id bigint generated always as identity primary key,
    topic text not null,
    key text not null,
    payload bytea not null,
    traceparent text,
    created_at timestamptz not null default now()
)";

/// The advisory lock of a database's relay ("outbox" in ASCII).
const LOCK: i64 = 0x6f75_7462_6f78;
/// Timeout of the leader's database; afterwards it releases the lock.
const DB_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of an event, in bytes: a broker's default limit (1 MB) less key and headers.
const MAX_EVENT_BYTES: usize = 900_000;
/// Pause of a key after the broker rejected one of its events.
const BLOCKED_KEY_RETRY: Duration = Duration::from_mins(1);
/// Maximum number of events that are read at once.
const BATCH: i64 = 500;
/// Interval at which the table is read without a notification.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

#[derive(sqlx::FromRow)]
struct Event {
    id: i64,
    topic: String,
    key: String,
    payload: Vec<u8>,
    traceparent: Option<String>,
}

/// Writes an event in the current transaction of `connection`.
///
/// The caller must hold the lock of the row that the event describes, so that the events of one key keep their order.
///
/// # Errors
/// Those of the database; `Encode` if the event exceeds a broker's limit, so that the change fails with it.
pub async fn enqueue(connection: &mut PgConnection, topic: &str, key: &str, payload: &[u8]) -> sqlx::Result<()> {
    insert(
        connection,
        "with event as (insert into outbox (topic, key, payload, traceparent) values ($1, $2, $3, $4))
         select pg_notify('outbox', '')",
        topic,
        key,
        payload,
    )
    .await
}

/// Writes an event that need not be published at once: the relay finds it within two seconds.
///
/// A notification serialises the commits of a database, which an event of every read must not do.
///
/// # Errors
/// Those of [`enqueue`].
pub async fn append(executor: impl PgExecutor<'_>, topic: &str, key: &str, payload: &[u8]) -> sqlx::Result<()> {
    let statement = "insert into outbox (topic, key, payload, traceparent) values ($1, $2, $3, $4)";
    insert(executor, statement, topic, key, payload).await
}

async fn insert(
    executor: impl PgExecutor<'_>,
    statement: &'static str,
    topic: &str,
    key: &str,
    payload: &[u8],
) -> sqlx::Result<()> {
    if payload.len() + key.len() > MAX_EVENT_BYTES {
        return Err(sqlx::Error::Encode(
            format!("an event of {} bytes is larger than {MAX_EVENT_BYTES}", payload.len()).into(),
        ));
    }
    sqlx::query(statement)
        .bind(topic)
        .bind(key)
        .bind(payload)
        .bind(trace::traceparent())
        .execute(executor)
        .await
        .map(drop)
}

/// Publishes the events of the outbox until `shutdown`; waits while another process does.
///
/// # Errors
/// If the producer's settings are invalid; other failures are retried.
pub fn relay(pool: Pool, kafka: KafkaArgs, shutdown: CancellationToken) -> BoxFuture<'static, anyhow::Result<()>> {
    Box::pin(async move {
        drop(producer_without_timeout(&kafka)?);
        let relaying = async {
            while !shutdown.is_cancelled() {
                if let Err(error) = lead(&pool, &kafka, &shutdown).await {
                    tracing::warn!(error = format!("{error:#}"), "the outbox relay failed and restarts");
                }
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = sleep(Duration::from_secs(1)) => {}
                }
            }
        };
        tokio::select! {
            () = relaying => {}
            () = backlog::measure(&pool) => {}
        }
        Ok(())
    })
}

/// Takes the lock if it is free, and relays for as long as it is held.
async fn lead(pool: &Pool, kafka: &KafkaArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    // The lock belongs to the session, so the connection is detached from the pool.
    let connection = pool.acquire().await.inspect_err(database::record_error)?;
    let mut leader = connection.detach();
    if !try_lock(&mut leader).await? {
        let _ = leader.close().await;
        return Ok(());
    }
    tracing::info!("relaying the outbox");
    let producer = producer_without_timeout(kafka)?;
    let led = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        led = send_all(pool, &mut leader, &producer) => led,
    };
    // Queued events must not be sent after those of the next leader.
    producer.purge(PurgeConfig::default().queue().inflight());
    let _ = timeout(DB_TIMEOUT, leader.close()).await;
    led
}

async fn try_lock(leader: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("select pg_try_advisory_lock($1)")
        .bind(LOCK)
        .fetch_one(leader)
        .await
}

async fn send_all(pool: &Pool, leader: &mut PgConnection, producer: &Producer) -> anyhow::Result<()> {
    let mut listener = pool.listen("outbox").await?;
    let mut blocked = BlockedKeys::default();
    loop {
        let batch = read_batch(leader, blocked.keys()).await?;
        metrics::gauge!("outbox_batch").set(batch.len() as f64);
        if batch.is_empty() {
            tokio::select! {
                notification = listener.try_recv() => { notification?; }
                () = sleep(POLL_INTERVAL) => {}
            }
            // A commit often sends several notifications; one read serves them all.
            while listener.next_buffered().is_some() {}
            continue;
        }
        let mut remaining = batch;
        while !remaining.is_empty() {
            let (round, later) = first_of_each_key(remaining);
            blocked.add(send_round(&round, leader, producer).await?);
            remaining = later;
            remaining.retain(|event| !blocked.keys.contains(&event.key));
        }
    }
}

async fn read_batch(leader: &mut PgConnection, without: &[String]) -> anyhow::Result<Vec<Event>> {
    let oldest = "select id, topic, key, payload, traceparent from outbox where key <> all($2) order by id limit $1";
    let reading = sqlx::query_as(oldest).bind(BATCH).bind(without).fetch_all(leader);
    Ok(timeout(DB_TIMEOUT, reading).await.context("database timeout")??)
}

/// Keys with an event that the broker rejects permanently: their events wait in order and do not block other keys.
#[derive(Default)]
struct BlockedKeys {
    keys: Vec<String>,
    since: Option<Instant>,
}

impl BlockedKeys {
    /// Returns the keys to skip; none after [`BLOCKED_KEY_RETRY`], so that a raised limit of the broker takes effect.
    fn keys(&mut self) -> &[String] {
        if self.since.is_some_and(|since| since.elapsed() >= BLOCKED_KEY_RETRY) {
            *self = Self::default();
        }
        &self.keys
    }

    fn add(&mut self, keys: Vec<String>) {
        if !keys.is_empty() {
            self.since.get_or_insert_with(Instant::now);
            self.keys.extend(keys);
        }
    }
}

/// Splits off the first event of each key: a key's next event is sent only after the previous one is acknowledged.
fn first_of_each_key(events: Vec<Event>) -> (Vec<Event>, Vec<Event>) {
    let mut keys = HashSet::new();
    events
        .into_iter()
        .partition(|event| keys.insert((event.topic.clone(), event.key.clone())))
}

/// Sends events of different keys together, deletes those that the broker acknowledged, and returns the keys of those it
/// rejected.
///
/// The next event of a key is sent only after the deletion of the previous one, on the connection that has the lock. So
/// a leader that has lost the lock without noticing can repeat an event but not overtake one.
async fn send_round(round: &[Event], leader: &mut PgConnection, producer: &Producer) -> anyhow::Result<Vec<String>> {
    let sending = join_all(round.iter().map(|event| async move {
        let span = kafka::producer_span(&event.topic, event.traceparent.as_deref());
        let trace = span.traceparent();
        let record = FutureRecord::to(&event.topic)
            .key(&event.key)
            .payload(&event.payload)
            .headers(OwnedHeaders::new().insert(Header {
                key: HEADER,
                value: trace.as_deref(),
            }));
        let sent = producer.send(record, Duration::from_secs(10)).await;
        kafka::record_delivery(&span, &sent);
        sent.map(|_| event.id).map_err(|(error, _)| error)
    }));
    tokio::pin!(sending);
    // While a broker is unreachable, check the lock: without it, another leader may be sending already.
    let results = loop {
        tokio::select! {
            results = &mut sending => break results,
            () = sleep(Duration::from_secs(2)) => {
                let alive = timeout(DB_TIMEOUT, leader.ping()).await.context("database timeout")?;
                alive.context("the relay lost its lock")?;
            }
        }
    };
    let sent: Vec<i64> = results
        .iter()
        .filter_map(|result| result.as_ref().ok().copied())
        .collect();
    let deletion = sqlx::query("delete from outbox where id = any($1)")
        .bind(&sent)
        .execute(leader);
    timeout(DB_TIMEOUT, deletion).await.context("database timeout")??;
    metrics::counter!("outbox_sent_total").increment(sent.len() as u64);
    let mut rejected = Vec::new();
    for (event, result) in round.iter().zip(results) {
        let Err(error) = result else { continue };
        metrics::counter!("outbox_failures_total").increment(1);
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::MessageSizeTooLarge) {
            bail!("an event could not be published: {error}");
        }
        tracing::error!(
            outbox.id = event.id,
            kafka.topic = event.topic,
            event.bytes = event.payload.len(),
            "the broker rejects an event as too large; it blocks the later ones of its key: raise max.message.bytes"
        );
        rejected.push(event.key.clone());
    }
    Ok(rejected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: i64, key: &str) -> Event {
        Event {
            id,
            topic: "t".into(),
            key: key.into(),
            payload: Vec::new(),
            traceparent: None,
        }
    }

    #[test]
    fn a_round_has_the_oldest_event_of_each_key() {
        let events = vec![event(1, "a"), event(2, "b"), event(3, "a"), event(4, "a")];
        let (round, later) = first_of_each_key(events);
        let ids = |events: &[Event]| events.iter().map(|event| event.id).collect::<Vec<_>>();
        assert_eq!((ids(&round), ids(&later)), (vec![1, 2], vec![3, 4]));
    }
}
