//! The consumer, with a fake broker: messages go to the journal or to the dead-letter topic.

use std::{collections::HashMap, time::Duration};

use contracts::{
    dead_letters,
    events::Unreadable,
    topics::{ANALYTICS_GROUP, PATIENT, PATIENT_DLQ},
};
use kit::{
    kafka::{self, KafkaArgs, Security, consume},
    testing::wait_until,
};
use prost::Message as _;
use rdkafka::{
    ClientConfig, Message as _,
    consumer::{Consumer, StreamConsumer},
    message::Headers,
    mocking::MockCluster,
    producer::FutureRecord,
};
use time::OffsetDateTime;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{TestApp, event, handler};

const TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_unreadable_message_becomes_a_dead_letter_and_the_others_are_recorded_once() {
    let Some(app) = TestApp::start().await else { return };
    let cluster = MockCluster::new(1).expect("a broker");
    cluster.create_topic(PATIENT, 1, 1).expect("a topic");
    cluster.create_topic(PATIENT_DLQ, 1, 1).expect("a topic");
    let kafka = KafkaArgs {
        bootstrap_servers: cluster.bootstrap_servers(),
        security: Security::Plaintext,
        ca_file: None,
        create_topics: false,
        iam: kit::IamArgs::default(),
    };
    let patient = Uuid::new_v4();
    let now = OffsetDateTime::now_utc();
    let created = event(patient, "PATIENT_CREATED", 1, now).encode_to_vec();
    let deleted = event(patient, "PATIENT_DELETED", 2, now).encode_to_vec();
    let producer = kafka::producer(&kafka).expect("a producer");
    let (key, other_key) = (patient.to_string(), Uuid::new_v4().to_string());
    let stray = event(patient, "PATIENT_UPDATED", 9, now).encode_to_vec();
    for (key, payload) in [
        (&key, &created[..]),
        (&key, b"\xff\xff"),
        (&key, &created),
        (&other_key, &stray),
        (&key, &deleted),
    ] {
        let record = FutureRecord::to(PATIENT).key(key).payload(payload);
        producer.send(record, TIMEOUT).await.expect("published");
    }

    let shutdown = CancellationToken::new();
    let handler = handler(&app.database);
    let consumer = tokio::spawn({
        let (kafka, shutdown) = (kafka.clone(), shutdown.clone());
        async move { consume(kafka, ANALYTICS_GROUP, &[PATIENT], handler, shutdown).await }
    });
    wait_until("both events in the journal", TIMEOUT, || async {
        app.history(patient).await == ["PATIENT_CREATED 1", "PATIENT_DELETED 2"]
    })
    .await;

    let dlq: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("group.id", "test")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    dlq.subscribe(&[PATIENT_DLQ]).expect("subscribed");
    let dead_letter = timeout(TIMEOUT, dlq.recv())
        .await
        .expect("a dead letter in time")
        .expect("a dead letter");
    assert_eq!(dead_letter.payload(), Some(&b"\xff\xff"[..]));
    let headers: HashMap<_, _> = dead_letter
        .headers()
        .expect("headers")
        .iter()
        .map(|header| (header.key, header.value))
        .collect();
    let reason = Unreadable::Protobuf.to_string();
    assert_eq!(headers[dead_letters::REASON], Some(reason.as_bytes()));
    assert_eq!(
        (headers[dead_letters::TOPIC], headers[dead_letters::OFFSET]),
        (Some(&b"patient"[..]), Some(&b"1"[..]))
    );

    let stray = timeout(TIMEOUT, dlq.recv()).await.expect("another one in time");
    assert_eq!(
        stray.expect("a dead letter").key(),
        Some(other_key.as_bytes()),
        "the key is not the patient"
    );

    shutdown.cancel();
    consumer.await.expect("no panic").expect("no error");
    app.database.drop().await;
}
