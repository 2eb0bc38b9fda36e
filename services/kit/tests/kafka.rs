//! The outbox and the consumer against librdkafka's own mock of a broker.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use kit::{
    kafka::{self, Handler, Incoming, KafkaArgs, Outcome, Security},
    outbox,
    testing::TestDatabase,
};
use rdkafka::{
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureRecord},
};
use tokio_util::sync::CancellationToken;

type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// Notes what it sees; "fails once" fails the first time, "poison" can never be handled.
struct Notes {
    seen: Seen,
    failed: Mutex<bool>,
}

#[async_trait]
impl Handler for Notes {
    async fn handle(&self, message: &Incoming<'_>) -> anyhow::Result<Outcome> {
        let payload = String::from_utf8_lossy(message.payload).into_owned();
        if payload == "fails once" && !std::mem::replace(&mut *self.failed.lock().expect("a flag"), true) {
            anyhow::bail!("not now");
        }
        if payload == "poison" && !message.topic.ends_with(".dlq") {
            return Ok(Outcome::Poison("it cannot be decoded".into()));
        }
        let key = String::from_utf8_lossy(message.key).into_owned();
        self.seen.lock().expect("the notes").push((key, payload));
        Ok(Outcome::Done)
    }
}

fn brokers(topics: &[&str]) -> (MockCluster<'static, DefaultProducerContext>, KafkaArgs) {
    let cluster = MockCluster::new(1).expect("a mock of a broker");
    for topic in topics {
        cluster.create_topic(topic, 1, 1).expect("a topic");
    }
    let bootstrap_servers = cluster.bootstrap_servers();
    (
        cluster,
        KafkaArgs {
            bootstrap_servers,
            security: Security::Plaintext,
            create_topics: false,
        },
    )
}

/// Consumes `topic` until it has seen as many messages as it should.
async fn consumed(args: &KafkaArgs, topic: &str, count: usize) -> Vec<(String, String)> {
    let (seen, shutdown) = (Seen::default(), CancellationToken::new());
    let notes = Notes {
        seen: seen.clone(),
        failed: Mutex::default(),
    };
    let (args, name, stop) = (args.clone(), topic.to_owned(), shutdown.clone());
    let consumer = tokio::spawn(async move { kafka::consume(args, "group", &[&name], notes, stop).await });
    for _ in 0..200 {
        if seen.lock().expect("the notes").len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    shutdown.cancel();
    consumer.await.expect("the consumer").expect("a clean end");
    let seen = seen.lock().expect("the notes");
    seen.clone()
}

fn pair(key: &str, payload: &str) -> (String, String) {
    (key.to_owned(), payload.to_owned())
}

#[tokio::test]
async fn a_message_that_fails_comes_again_before_the_next_and_poison_is_put_aside() {
    let (_cluster, args) = brokers(&["t", "t.dlq"]);
    let producer = kafka::producer(&args).expect("a producer");
    for payload in ["first", "fails once", "poison", "last"] {
        let record = FutureRecord::to("t").key("k").payload(payload);
        producer.send(record, Duration::from_secs(5)).await.expect("sent");
    }
    let expected = ["first", "fails once", "last"].map(|payload| pair("k", payload));
    assert_eq!(consumed(&args, "t", 3).await, expected);
    assert_eq!(consumed(&args, "t.dlq", 1).await, [pair("k", "poison")]);
}

#[tokio::test]
async fn committed_events_arrive_in_the_order_of_their_key_and_others_never() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    sqlx::query(outbox::SCHEMA)
        .execute(&database.pool)
        .await
        .expect("the outbox");
    for number in 0..20 {
        let mut transaction = database.pool.begin().await.expect("a transaction");
        let key = if number % 2 == 0 { "even" } else { "odd" };
        let sent = outbox::enqueue(&mut transaction, "t", key, number.to_string().as_bytes()).await;
        sent.expect("an event");
        if number % 5 == 4 {
            transaction.rollback().await.expect("a rollback");
        } else {
            transaction.commit().await.expect("a commit");
        }
    }
    let (_cluster, args) = brokers(&["t"]);
    let shutdown = CancellationToken::new();
    // Two replicas: one leads, the other stands by.
    let relays = [(); 2].map(|()| tokio::spawn(outbox::relay(database.pool.clone(), args.clone(), shutdown.clone())));
    let seen = consumed(&args, "t", 16).await;
    shutdown.cancel();
    for relay in relays {
        relay.await.expect("the relay").expect("a clean end");
    }
    for (parity, key) in ["even", "odd"].into_iter().enumerate() {
        let numbers = seen
            .iter()
            .filter(|(found, _)| found == key)
            .map(|(_, number)| number.clone());
        let expected = (0..20)
            .filter(|number| number % 2 == parity && number % 5 != 4)
            .map(|number| number.to_string());
        assert_eq!(numbers.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{key}");
    }
    database.drop().await;
}
