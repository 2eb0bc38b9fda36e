//! The outbox and the consumer against librdkafka's own mock of a broker.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use kit::{
    kafka::{self, Handled, Handler, KafkaArgs, Message, Security},
    outbox,
    testing::TestDatabase,
};
use rdkafka::{
    ClientConfig, Message as _,
    consumer::{Consumer, StreamConsumer},
    message::{Header, Headers, OwnedHeaders},
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
    async fn handle(&self, message: &Message<'_>) -> anyhow::Result<Handled> {
        let payload = String::from_utf8_lossy(message.payload).into_owned();
        if payload == "fails once" && !std::mem::replace(&mut *self.failed.lock().expect("a flag"), true) {
            anyhow::bail!("not now");
        }
        if payload == "poison" && !message.topic.ends_with(".dlq") {
            return Ok(Handled::Poison("it cannot be decoded".into()));
        }
        let key = String::from_utf8_lossy(message.key).into_owned();
        self.seen.lock().expect("the notes").push((key, payload));
        Ok(Handled::Done)
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
            ca_file: None,
            create_topics: false,
            iam: kit::kafka::IamArgs::default(),
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

/// Cannot handle "stubborn" until it is healed.
struct Stubborn {
    seen: Seen,
    healed: Arc<AtomicBool>,
}

#[async_trait]
impl Handler for Stubborn {
    async fn handle(&self, message: &Message<'_>) -> anyhow::Result<Handled> {
        let payload = String::from_utf8_lossy(message.payload).into_owned();
        anyhow::ensure!(payload != "stubborn" || self.healed.load(Ordering::SeqCst), "not now");
        let place = format!("{}/{}", message.partition, message.offset);
        self.seen.lock().expect("the notes").push((place, payload));
        Ok(Handled::Done)
    }
}

#[tokio::test]
async fn a_partition_whose_message_fails_waits_alone_and_goes_on_in_order() {
    let (cluster, args) = brokers(&[]);
    cluster.create_topic("two", 2, 1).expect("a topic");
    let producer = kafka::producer(&args).expect("a producer");
    let send = async |partition: i32, payload: &str| {
        let record = FutureRecord::to("two").key("k").payload(payload).partition(partition);
        producer.send(record, Duration::from_secs(5)).await.expect("sent");
    };
    send(0, "stubborn").await;
    send(0, "behind it").await;
    for _ in 0..5 {
        send(1, "elsewhere").await;
    }
    let (seen, healed, shutdown) = (Seen::default(), Arc::<AtomicBool>::default(), CancellationToken::new());
    let handler = Stubborn {
        seen: seen.clone(),
        healed: healed.clone(),
    };
    let stop = shutdown.clone();
    let consumer = tokio::spawn(async move { kafka::consume(args, "group", &["two"], handler, stop).await });
    let count = |payload: &str| {
        let seen = seen.lock().expect("the notes");
        seen.iter().filter(|(_, found)| found == payload).count()
    };
    eventually("the other partition", || count("elsewhere") == 5).await;
    // Well after the first failure it is still only its own partition that stands.
    for _ in 0..5 {
        send(1, "later").await;
    }
    eventually("what came later", || count("later") == 5).await;
    assert_eq!((count("stubborn"), count("behind it")), (0, 0));
    healed.store(true, Ordering::SeqCst);
    eventually("the rest", || count("behind it") == 1).await;
    shutdown.cancel();
    consumer.await.expect("the consumer").expect("a clean end");
    let seen = seen.lock().expect("the notes");
    let first: Vec<_> = seen
        .iter()
        .filter(|(place, _)| place.starts_with("0/"))
        .cloned()
        .collect();
    assert_eq!(first, [pair("0/0", "stubborn"), pair("0/1", "behind it")]);
}

#[tokio::test]
async fn a_dead_letter_tells_where_it_comes_from_and_keeps_what_it_had() {
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
    assert_eq!(consumed(&args, "t", 1).await, [pair("k", "first")]);
    let letters: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &args.bootstrap_servers)
        .set("group.id", "a-person-who-looks")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    letters.subscribe(&["t.dlq"]).expect("subscribed");
    // The consumer may have been stopped before it came to the second message; then the next one goes on there.
    let _next = tokio::spawn({
        let (args, notes) = (
            args.clone(),
            Notes {
                seen: Seen::default(),
                failed: Mutex::default(),
            },
        );
        async move { kafka::consume(args, "group", &["t"], notes, CancellationToken::new()).await }
    });
    let letter = tokio::time::timeout(Duration::from_secs(30), letters.recv()).await;
    let letter = letter.expect("in time").expect("a letter");
    assert_eq!(
        (letter.key(), letter.payload()),
        (Some(&b"k"[..]), Some(&b"poison"[..]))
    );
    let headers: Vec<_> = letter.headers().expect("headers").iter().collect();
    let told: Vec<_> = headers
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
    assert_eq!(told, expected.map(|(key, value)| (key, value.to_owned())));
}

#[tokio::test]
async fn an_event_that_no_broker_takes_holds_up_its_own_key_only_and_new_ones_are_refused() {
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
    assert_eq!(consumed(&args, "t", 2).await, [pair("small", "1"), pair("small", "2")]);
    shutdown.cancel();
    relay.await.expect("the relay").expect("a clean end");
    let left: Vec<String> = sqlx::query_scalar("select key from outbox order by id")
        .fetch_all(&database.pool)
        .await
        .expect("the outbox");
    assert_eq!(left, ["big", "big"]);

    let mut transaction = database.pool.begin().await.expect("a transaction");
    let refused = outbox::enqueue(&mut transaction, "t", "big", &huge).await;
    assert!(matches!(refused, Err(sqlx::Error::Encode(_))), "{refused:?}");
    drop(transaction);
    database.drop().await;
}

/// Asks until the answer is yes; panics after 30 s.
async fn eventually(what: &str, probe: impl Fn() -> bool) {
    for _ in 0..600 {
        if probe() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: not within 30 s");
}
