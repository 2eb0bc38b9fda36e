//! The way of a message from a broker to the journal or to the dead letters.

use std::time::Duration;

use contracts::topics::{PATIENT, PATIENT_DLQ};
use kit::kafka::{self, KafkaArgs, Security};
use rdkafka::{
    ClientConfig, Message as _,
    consumer::{Consumer, StreamConsumer},
    message::Headers,
    mocking::MockCluster,
    producer::FutureRecord,
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::consumer;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_unreadable_message_goes_to_the_dead_letters_and_those_around_it_are_recorded_once() {
    let Some(service) = Service::start().await else { return };
    let cluster = MockCluster::new(1).expect("a broker");
    cluster.create_topic(PATIENT, 1, 1).expect("a topic");
    cluster.create_topic(PATIENT_DLQ, 1, 1).expect("a topic");
    let kafka = KafkaArgs {
        bootstrap_servers: cluster.bootstrap_servers(),
        security: Security::Plaintext,
        ca_file: None,
        create_topics: false,
        iam: kit::kafka::IamArgs::default(),
    };
    let patient = Uuid::new_v4();
    let now = OffsetDateTime::now_utc();
    let created = event(patient, "PATIENT_CREATED", 1, now).encode_to_vec();
    let deleted = event(patient, "PATIENT_DELETED", 2, now).encode_to_vec();
    let producer = kafka::producer(&kafka).expect("a producer");
    for payload in [&created[..], b"\xff\xff", &created, &deleted] {
        let record = FutureRecord::to(PATIENT).key(patient.as_bytes()).payload(payload);
        producer.send(record, PATIENCE).await.expect("published");
    }

    let shutdown = CancellationToken::new();
    let consumer = tokio::spawn(consumer::run(
        kafka.clone(),
        service.database.pool.clone(),
        shutdown.clone(),
    ));
    let recorded = timeout(PATIENCE, async {
        while service.history(patient).await != ["PATIENT_CREATED 1", "PATIENT_DELETED 2"] {
            sleep(Duration::from_millis(50)).await;
        }
    });
    recorded.await.expect("both are recorded in time");

    let letters: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("group.id", "a-person-who-looks")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    letters.subscribe(&[PATIENT_DLQ]).expect("subscribed");
    let letter = timeout(PATIENCE, letters.recv())
        .await
        .expect("a letter in time")
        .expect("a letter");
    assert_eq!(letter.payload(), Some(&b"\xff\xff"[..]));
    let headers: HashMap<_, _> = letter
        .headers()
        .expect("headers")
        .iter()
        .map(|it| (it.key, it.value))
        .collect();
    assert_eq!(headers["reason"], Some(Unreadable::Protobuf.to_string().as_bytes()));
    assert_eq!(
        (headers["topic"], headers["offset"]),
        (Some(&b"patient"[..]), Some(&b"1"[..]))
    );

    shutdown.cancel();
    consumer.await.expect("no panic").expect("a quiet end");
    service.database.drop().await;
}
