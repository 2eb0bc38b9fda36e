//! The outbox and the consumer with librdkafka's mock broker.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use http_body_util::BodyExt;
use kit::{
    kafka::{self, Handled, Handler, KafkaArgs, Message, Security},
    outbox,
    testing::{TestDatabase, exposition, wait_until},
};
use parking_lot::Mutex;
use rdkafka::{
    ClientConfig, Message as _,
    consumer::{Consumer, StreamConsumer},
    message::{Header, Headers, OwnedHeaders},
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureRecord},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Time limit of a step.
const TIMEOUT: Duration = Duration::from_secs(30);

type Messages = Arc<Mutex<Vec<(String, String)>>>;

/// Records messages; "fails once" fails the first time, "poison" can never be handled.
struct Recorder {
    received: Messages,
    failed: Mutex<bool>,
}

#[async_trait]
impl Handler for Recorder {
    async fn handle(&self, message: &Message<'_>) -> anyhow::Result<Handled> {
        let payload = String::from_utf8_lossy(message.payload).into_owned();
        if payload == "fails once" && !std::mem::replace(&mut *self.failed.lock(), true) {
            anyhow::bail!("not now");
        }
        if payload == "poison" && message.topic.strip_suffix(".dlq").is_none() {
            return Ok(Handled::Poison("it cannot be decoded".into()));
        }
        let key = String::from_utf8_lossy(message.key).into_owned();
        self.received.lock().push((key, payload));
        Ok(Handled::Done)
    }
}

fn brokers(topics: &[&str]) -> (MockCluster<'static, DefaultProducerContext>, KafkaArgs) {
    brokers_of(1, topics)
}

fn brokers_of(count: i32, topics: &[&str]) -> (MockCluster<'static, DefaultProducerContext>, KafkaArgs) {
    let cluster = MockCluster::new(count).expect("a mock of a broker");
    for topic in topics {
        cluster.create_topic(topic, 1, 1).expect("a topic");
    }
    let bootstrap_servers = cluster.bootstrap_servers();
    (
        cluster,
        KafkaArgs {
            bootstrap_servers,
            security: Security::Plaintext,
            ca_file: None,
            create_topics: false,
            iam: kit::IamArgs::default(),
        },
    )
}

/// Consumes `topic` until `count` messages are handled.
async fn consume(args: &KafkaArgs, topic: &str, count: usize) -> Vec<(String, String)> {
    let (received, shutdown) = (Messages::default(), CancellationToken::new());
    let recorder = Recorder {
        received: received.clone(),
        failed: Mutex::default(),
    };
    let (args, name, stop) = (args.clone(), topic.to_owned(), shutdown.clone());
    let consumer = tokio::spawn(async move { kafka::consume(args, "group", &[&name], recorder, stop).await });
    wait_until("the messages", TIMEOUT, async || received.lock().len() >= count).await;
    shutdown.cancel();
    consumer.await.expect("the consumer").expect("a clean end");
    received.lock().clone()
}

fn pair(key: &str, payload: &str) -> (String, String) {
    (key.to_owned(), payload.to_owned())
}

#[tokio::test]
async fn a_failed_message_is_retried_before_the_next_and_poison_becomes_a_dead_letter() {
    let (_cluster, args) = brokers(&["t", "t.dlq"]);
    let producer = kafka::producer(&args).expect("a producer");
    for payload in ["first", "fails once", "poison", "last"] {
        let record = FutureRecord::to("t").key("k").payload(payload);
        producer.send(record, Duration::from_secs(5)).await.expect("sent");
    }
    let expected = ["first", "fails once", "last"].map(|payload| pair("k", payload));
    assert_eq!(consume(&args, "t", 3).await, expected);
    assert_eq!(consume(&args, "t.dlq", 1).await, [pair("k", "poison")]);
}

#[tokio::test]
async fn committed_events_are_published_in_the_order_of_their_key_and_others_never() {
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
    // Two replicas: one relays, the other waits for the lock.
    let relays = [(); 2].map(|()| tokio::spawn(outbox::relay(database.pool.clone(), args.clone(), shutdown.clone())));
    let received = consume(&args, "t", 16).await;
    shutdown.cancel();
    for relay in relays {
        relay.await.expect("the relay").expect("a clean end");
    }
    for (parity, key) in ["even", "odd"].into_iter().enumerate() {
        let numbers = received
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

/// Fails for "failing" until it is repaired.
struct Failing {
    received: Messages,
    repaired: Arc<AtomicBool>,
}

#[async_trait]
impl Handler for Failing {
    async fn handle(&self, message: &Message<'_>) -> anyhow::Result<Handled> {
        let payload = String::from_utf8_lossy(message.payload).into_owned();
        anyhow::ensure!(payload != "failing" || self.repaired.load(Ordering::SeqCst), "not now");
        let position = format!("{}/{}", message.partition, message.offset);
        self.received.lock().push((position, payload));
        Ok(Handled::Done)
    }
}

#[tokio::test]
async fn a_failed_message_blocks_only_its_partition_which_then_continues_in_order() {
    let (cluster, args) = brokers(&[]);
    cluster.create_topic("two", 2, 1).expect("a topic");
    let producer = kafka::producer(&args).expect("a producer");
    let send = async |partition: i32, payload: &str| {
        let record = FutureRecord::to("two").key("k").payload(payload).partition(partition);
        producer.send(record, Duration::from_secs(5)).await.expect("sent");
    };
    send(0, "failing").await;
    send(0, "after it").await;
    for _ in 0..5 {
        send(1, "other partition").await;
    }
    let (received, repaired, shutdown) = (
        Messages::default(),
        Arc::<AtomicBool>::default(),
        CancellationToken::new(),
    );
    let handler = Failing {
        received: received.clone(),
        repaired: repaired.clone(),
    };
    let stop = shutdown.clone();
    let consumer = tokio::spawn(async move { kafka::consume(args, "group", &["two"], handler, stop).await });
    let count = |payload: &str| {
        let received = received.lock();
        received.iter().filter(|(_, found)| found == payload).count()
    };
    wait_until("the other partition", TIMEOUT, async || count("other partition") == 5).await;
    // Well after the first failure, still only its own partition is paused.
    for _ in 0..5 {
        send(1, "later").await;
    }
    wait_until("later messages", TIMEOUT, async || count("later") == 5).await;
    assert_eq!((count("failing"), count("after it")), (0, 0));
    repaired.store(true, Ordering::SeqCst);
    wait_until("the paused partition", TIMEOUT, async || count("after it") == 1).await;
    shutdown.cancel();
    consumer.await.expect("the consumer").expect("a clean end");
    let received = received.lock();
    let first: Vec<_> = received
        .iter()
        .filter(|(position, _)| position.starts_with("0/"))
        .cloned()
        .collect();
    assert_eq!(first, [pair("0/0", "failing"), pair("0/1", "after it")]);
}

#[tokio::test]
async fn a_dead_letter_has_headers_with_its_origin_and_those_of_the_message() {
    let (_cluster, args) = brokers(&["t", "t.dlq"]);
    let producer = kafka::producer(&args).expect("a producer");
    let own = OwnedHeaders::new().insert(Header {
        key: "traceparent",
        value: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    });
    for payload in ["first", "poison"] {
        let record = FutureRecord::to("t")
            .key("k")
            .payload(payload)
            .timestamp(1_790_000_000_000);
        let record = record.headers(own.clone());
        producer.send(record, Duration::from_secs(5)).await.expect("sent");
    }
    assert_eq!(consume(&args, "t", 1).await, [pair("k", "first")]);
    let dead_letters: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &args.bootstrap_servers)
        .set("group.id", "another-group")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    dead_letters.subscribe(&["t.dlq"]).expect("subscribed");
    // The consumer may have been stopped before the second message; then the next one continues there.
    let _next = tokio::spawn({
        let (args, recorder) = (
            args.clone(),
            Recorder {
                received: Messages::default(),
                failed: Mutex::default(),
            },
        );
        async move { kafka::consume(args, "group", &["t"], recorder, CancellationToken::new()).await }
    });
    let record = tokio::time::timeout(TIMEOUT, dead_letters.recv()).await;
    let record = record.expect("in time").expect("a dead letter");
    assert_eq!(
        (record.key(), record.payload()),
        (Some(&b"k"[..]), Some(&b"poison"[..]))
    );
    let headers: Vec<_> = record.headers().expect("headers").iter().collect();
    let headers: Vec<_> = headers
        .iter()
        .map(|header| {
            (
                header.key,
                String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned(),
            )
        })
        .collect();
    let expected = [
        ("reason", "it cannot be decoded"),
        ("topic", "t"),
        ("partition", "0"),
        ("offset", "1"),
        ("group", "group"),
        ("timestamp", "1790000000000"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ];
    assert_eq!(headers, expected.map(|(key, value)| (key, value.to_owned())));
}

#[tokio::test]
async fn an_event_that_the_broker_rejects_blocks_only_its_key_and_new_ones_are_rejected() {
    let Some(database) = TestDatabase::create().await else {
        return;
    };
    sqlx::query(outbox::SCHEMA)
        .execute(&database.pool)
        .await
        .expect("the outbox");
    let huge = vec![b'x'; 1_100_000];
    for (key, payload) in [
        ("big", &huge[..]),
        ("big", b"after it"),
        ("small", b"1"),
        ("small", b"2"),
    ] {
        let insert = sqlx::query("insert into outbox (topic, key, payload) values ('t', $1, $2)");
        insert
            .bind(key)
            .bind(payload)
            .execute(&database.pool)
            .await
            .expect("a row");
    }
    let (_cluster, args) = brokers(&["t"]);
    let shutdown = CancellationToken::new();
    let relay = tokio::spawn(outbox::relay(database.pool.clone(), args.clone(), shutdown.clone()));
    assert_eq!(consume(&args, "t", 2).await, [pair("small", "1"), pair("small", "2")]);
    shutdown.cancel();
    relay.await.expect("the relay").expect("a clean end");
    let remaining: Vec<String> = sqlx::query_scalar("select key from outbox order by id")
        .fetch_all(&database.pool)
        .await
        .expect("the outbox");
    assert_eq!(remaining, ["big", "big"]);

    let mut transaction = database.pool.begin().await.expect("a transaction");
    let rejected = outbox::enqueue(&mut transaction, "t", "big", &huge).await;
    assert!(matches!(rejected, Err(sqlx::Error::Encode(_))), "{rejected:?}");
    drop(transaction);
    database.drop().await;
}

/// Returns the lag of a topic's only partition as `/metrics` reports it; `None` before the first measurement.
async fn lag(metrics: &axum::Router, topic: &str) -> Option<f64> {
    let request = http::Request::get("/metrics").body(axum::body::Body::empty());
    let response = metrics.clone().oneshot(request.expect("a request")).await;
    let body = response.expect("a response").into_body().collect().await;
    let text = body.expect("the body").to_bytes();
    let samples = exposition::read(std::str::from_utf8(&text).expect("text")).expect("samples");
    let mut samples = samples.into_iter();
    let found = samples.find(|it| it.name == "kafka_consumer_lag" && it.labels["topic"] == topic);
    found.map(|sample| sample.value)
}

#[tokio::test]
async fn the_lag_is_right_while_nothing_is_handled_and_unknown_without_a_broker() {
    let args = kit::ServeArgs {
        host: [127, 0, 0, 1].into(),
        port: 0,
        shutdown_delay: 0,
        max_connections: 8,
    };
    let (metrics, _) = kit::Server::new("a-service", &args).routers();
    let (cluster, args) = brokers(&["behind"]);
    let producer = kafka::producer(&args).expect("a producer");
    let send = async |payload: &str| {
        let record = FutureRecord::to("behind").key("k").payload(payload);
        producer.send(record, TIMEOUT).await.expect("sent");
    };
    let (received, repaired, shutdown) = (
        Messages::default(),
        Arc::<AtomicBool>::default(),
        CancellationToken::new(),
    );
    let handler = Failing {
        received: received.clone(),
        repaired: repaired.clone(),
    };
    let stop = shutdown.clone();
    let consumer = tokio::spawn(async move { kafka::consume(args, "group", &["behind"], handler, stop).await });
    send("first").await;
    wait_until("no lag", TIMEOUT, async || lag(&metrics, "behind").await == Some(0.0)).await;
    for _ in 0..3 {
        send("failing").await;
    }
    wait_until("the lag", TIMEOUT, async || lag(&metrics, "behind").await == Some(3.0)).await;
    cluster.broker_down(1).expect("a broker that stops");
    wait_until("an unknown lag", TIMEOUT, async || {
        lag(&metrics, "behind").await.is_some_and(f64::is_nan)
    })
    .await;
    cluster.broker_up(1).expect("a broker that starts");
    wait_until("the lag after the outage", TIMEOUT, async || {
        lag(&metrics, "behind").await == Some(3.0)
    })
    .await;
    repaired.store(true, Ordering::SeqCst);
    wait_until("no lag", TIMEOUT, async || lag(&metrics, "behind").await == Some(0.0)).await;
    shutdown.cancel();
    consumer.await.expect("the consumer").expect("a clean end");
}

#[tokio::test]
async fn after_an_outage_the_consumer_continues_at_once() {
    let (cluster, args) = brokers_of(4, &["t"]);
    let producer = kafka::producer(&args).expect("a producer");
    let send = async |payload: &str| {
        let record = FutureRecord::to("t").key("k").payload(payload);
        producer.send(record, TIMEOUT).await.expect("sent");
    };
    let (received, shutdown) = (Messages::default(), CancellationToken::new());
    let recorder = Recorder {
        received: received.clone(),
        failed: Mutex::default(),
    };
    let stop = shutdown.clone();
    let consumer = tokio::spawn(async move { kafka::consume(args, "group", &["t"], recorder, stop).await });
    send("before").await;
    wait_until("a message", TIMEOUT, async || received.lock().len() == 1).await;
    // Longer than the session, and long enough for librdkafka to queue more errors than the time limit has seconds.
    (1..=4).for_each(|broker| cluster.broker_down(broker).expect("a broker that stops"));
    tokio::time::sleep(Duration::from_secs(12)).await;
    (1..=4).for_each(|broker| cluster.broker_up(broker).expect("a broker that starts"));
    send("after").await;
    wait_until("the next message", TIMEOUT, async || {
        received.lock().iter().any(|(_, payload)| payload == "after")
    })
    .await;
    shutdown.cancel();
    consumer.await.expect("the consumer").expect("a clean end");
}
