//! Events that leave with the transaction that caused them.
//!
//! [`enqueue`] writes an event beside the change; [`relay`] sends what is there. One process relays at a time, and an
//! event is deleted once the broker has it, so each is published at least once and those of one key in their order.
//! The schema is [`SCHEMA`], which a service puts into its own migrations.

mod backlog;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use futures::future::join_all;
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::{FutureRecord, Producer as _, PurgeConfig},
    types::RDKafkaErrorCode,
};
use sqlx::{Connection, PgConnection, PgPool, postgres::PgListener};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    database,
    kafka::{self, KafkaArgs, Producer, patient_producer},
    trace::{HEADER, Trace},
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

/// The advisory lock of the one relay of a database ("outbox" in ASCII).
const LOCK: i64 = 0x6f75_7462_6f78;
/// How long the leader waits for its database before it gives the lead up.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest event, in bytes: what a broker takes by default (1 MB), with room for key and headers.
const LARGEST: usize = 900_000;
/// How long the events of a key stay where they are once the broker refused one of them.
const SET_ASIDE: Duration = Duration::from_secs(60);
/// Events that are read at once.
const BATCH: i64 = 500;
/// How often the table is looked at without being told.
const SLOW_POLL: Duration = Duration::from_secs(2);

#[derive(sqlx::FromRow)]
struct Event {
    id: i64,
    topic: String,
    key: String,
    payload: Vec<u8>,
    traceparent: Option<String>,
}

/// Writes an event into the transaction that `connection` is in.
///
/// The caller holds the lock of the row that the event is about, so that the events of one key keep their order.
///
/// # Errors
/// Those of the database; `Encode` when the event is larger than a broker takes, so that the write fails with it.
pub async fn enqueue(connection: &mut PgConnection, topic: &str, key: &str, payload: &[u8]) -> sqlx::Result<()> {
    if payload.len() + key.len() > LARGEST {
        return Err(sqlx::Error::Encode(
            format!("an event of {} bytes is larger than {LARGEST}", payload.len()).into(),
        ));
    }
    let insert = "with event as (insert into outbox (topic, key, payload, traceparent) values ($1, $2, $3, $4))
                  select pg_notify('outbox', '')";
    sqlx::query(insert)
        .bind(topic)
        .bind(key)
        .bind(payload)
        .bind(Trace::current().map(|trace| trace.to_string()))
        .execute(connection)
        .await
        .map(drop)
}

/// Sends what is in the outbox until `shutdown`; stands by while another process does it.
///
/// # Errors
/// When the producer's settings are refused; whatever else fails is tried again.
pub async fn relay(pool: PgPool, kafka: KafkaArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    drop(patient_producer(&kafka)?);
    let relaying = async {
        while !shutdown.is_cancelled() {
            if let Err(error) = lead(&pool, &kafka, &shutdown).await {
                tracing::warn!(error = format!("{error:#}"), "the outbox relay starts over");
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
}

/// Takes the lock, if it is free, and relays for as long as it is held.
async fn lead(pool: &PgPool, kafka: &KafkaArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    // A connection of its own: the lock is the session's, and ends with it.
    let connection = pool.acquire().await.inspect_err(database::observe)?;
    let mut leader = connection.detach();
    if !try_lock(&mut leader).await? {
        let _ = leader.close().await;
        return Ok(());
    }
    tracing::info!("relaying the outbox");
    let producer = patient_producer(kafka)?;
    let led = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        led = send_all(pool, &mut leader, &producer) => led,
    };
    // What is still queued must not follow the events of the next leader.
    producer.purge(PurgeConfig::default().queue().inflight());
    let _ = timeout(PATIENCE, leader.close()).await;
    led
}

async fn try_lock(leader: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("select pg_try_advisory_lock($1)")
        .bind(LOCK)
        .fetch_one(leader)
        .await
}

async fn send_all(pool: &PgPool, leader: &mut PgConnection, producer: &Producer) -> anyhow::Result<()> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("outbox").await?;
    let mut refused = Refused::default();
    loop {
        let batch = read_batch(leader, refused.keys()).await?;
        metrics::gauge!("outbox_batch").set(batch.len() as f64);
        if batch.is_empty() {
            tokio::select! {
                told = listener.try_recv() => { told?; }
                () = sleep(SLOW_POLL) => {}
            }
            // A commit often brings several notices; one look serves them all.
            while listener.next_buffered().is_some() {}
            continue;
        }
        let mut rest = batch;
        while !rest.is_empty() {
            let (round, later) = first_of_each_key(rest);
            refused.add(send_round(&round, leader, producer).await?);
            rest = later;
            rest.retain(|event| !refused.keys.contains(&event.key));
        }
    }
}

async fn read_batch(leader: &mut PgConnection, without: &[String]) -> anyhow::Result<Vec<Event>> {
    let oldest = "select id, topic, key, payload, traceparent from outbox where key <> all($2) order by id limit $1";
    let reading = sqlx::query_as(oldest).bind(BATCH).bind(without).fetch_all(leader);
    Ok(timeout(PATIENCE, reading).await.context("the database is silent")??)
}

/// Keys of which the broker refused an event for ever: they wait, in their order, and hold up no other key.
#[derive(Default)]
struct Refused {
    keys: Vec<String>,
    since: Option<Instant>,
}

impl Refused {
    /// The keys to leave alone; after a while none, so that a raised limit of the broker is found.
    fn keys(&mut self) -> &[String] {
        if self.since.is_some_and(|since| since.elapsed() >= SET_ASIDE) {
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

/// Splits off the first event of each key: a key's next event is sent only after the one before it is acknowledged.
fn first_of_each_key(events: Vec<Event>) -> (Vec<Event>, Vec<Event>) {
    let mut seen = HashSet::new();
    events
        .into_iter()
        .partition(|event| seen.insert((event.topic.clone(), event.key.clone())))
}

/// Sends events of different keys together and deletes those that the broker has; gives the keys of those it refused.
///
/// The next event of a key is sent only after the deletion of the one before, on the connection that has the lock. So
/// a leader that lost the lock, and does not know it yet, can repeat an event but not overtake one.
async fn send_round(round: &[Event], leader: &mut PgConnection, producer: &Producer) -> anyhow::Result<Vec<String>> {
    let sending = join_all(round.iter().map(|event| async move {
        let mut span = kafka::sending(&event.topic, event.traceparent.as_deref());
        let trace = span.trace().to_string();
        let record = FutureRecord::to(&event.topic)
            .key(&event.key)
            .payload(&event.payload)
            .headers(OwnedHeaders::new().insert(Header {
                key: HEADER,
                value: Some(trace.as_bytes()),
            }));
        let sent = producer.send(record, Duration::from_secs(10)).await;
        kafka::sent(&mut span, &sent);
        sent.map(|_| event.id).map_err(|(error, _)| error)
    }));
    tokio::pin!(sending);
    // While a broker is away, the lock is looked after: without it, another leader may be sending already.
    let results = loop {
        tokio::select! {
            results = &mut sending => break results,
            () = sleep(Duration::from_secs(2)) => {
                let alive = timeout(PATIENCE, leader.ping()).await.context("the database is silent")?;
                alive.context("the relay's lock is lost")?;
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
    timeout(PATIENCE, deletion).await.context("the database is silent")??;
    metrics::counter!("outbox_sent_total").increment(sent.len() as u64);
    let mut refused = Vec::new();
    for (event, result) in round.iter().zip(results) {
        let Err(error) = result else { continue };
        metrics::counter!("outbox_failures_total").increment(1);
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::MessageSizeTooLarge) {
            bail!("an event could not be sent: {error}");
        }
        tracing::error!(
            outbox.id = event.id,
            kafka.topic = event.topic,
            event.bytes = event.payload.len(),
            "the broker refuses an event as too large; it waits with the later ones of its key: raise max.message.bytes"
        );
        refused.push(event.key.clone());
    }
    Ok(refused)
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
    fn a_round_holds_one_event_of_each_key_and_the_oldest() {
        let events = vec![event(1, "a"), event(2, "b"), event(3, "a"), event(4, "a")];
        let (round, later) = first_of_each_key(events);
        let ids = |events: &[Event]| events.iter().map(|event| event.id).collect::<Vec<_>>();
        assert_eq!((ids(&round), ids(&later)), (vec![1, 2], vec![3, 4]));
    }
}
