//! The consumer, with a fake broker: messages go to the chain or to the dead-letter topic.

use std::time::Duration;

use audit_service::verify::Verification;
use contracts::topics::{AUDIT, AUDIT_DLQ, AUDIT_GROUP};
use kit::{
    kafka::{self, KafkaArgs, Security, consume},
    testing::wait_until,
};
use rdkafka::{
    ClientConfig, Message as _,
    consumer::{Consumer, StreamConsumer},
    mocking::MockCluster,
    producer::FutureRecord,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{TestApp, event};

const TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn two_replicas_append_each_message_once_and_an_unreadable_one_becomes_a_dead_letter() {
    let Some(app) = TestApp::start().await else { return };
    let cluster = MockCluster::new(1).expect("a broker");
    cluster.create_topic(AUDIT, 2, 1).expect("a topic");
    cluster.create_topic(AUDIT_DLQ, 1, 1).expect("a topic");
    let kafka = KafkaArgs {
        bootstrap_servers: cluster.bootstrap_servers(),
        security: Security::Plaintext,
        ca_file: None,
        create_topics: false,
        iam: kit::IamArgs::default(),
    };
    let events: Vec<Vec<u8>> = (0..6).map(|_| event(Uuid::new_v4()).encode()).collect();
    let producer = kafka::producer(&kafka).expect("a producer");
    let unreadable = b"\xff\xff".to_vec();
    for (number, payload) in events.iter().chain([&unreadable]).chain(&events).enumerate() {
        let record = FutureRecord::<[u8], _>::to(AUDIT)
            .partition(i32::from(number % 2 == 1))
            .payload(payload);
        producer.send(record, TIMEOUT).await.expect("published");
    }

    let shutdown = CancellationToken::new();
    let replicas: Vec<_> = (0..2)
        .map(|_| {
            let (kafka, shutdown, handler) = (kafka.clone(), shutdown.clone(), app.handler());
            tokio::spawn(async move { consume(kafka, AUDIT_GROUP, &[AUDIT], handler, shutdown).await })
        })
        .collect();
    let dlq: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("group.id", "test")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    dlq.subscribe(&[AUDIT_DLQ]).expect("subscribed");
    let dead_letter = timeout(TIMEOUT, dlq.recv())
        .await
        .expect("a dead letter in time")
        .expect("a dead letter");
    assert_eq!(dead_letter.payload(), Some(&*unreadable));
    wait_until("six records", TIMEOUT, || async {
        matches!(app.verify(None).await, Verification::Intact(head) if head.position == 6)
    })
    .await;

    shutdown.cancel();
    for replica in replicas {
        replica.await.expect("no panic").expect("no error");
    }
    app.database.drop().await;
}
