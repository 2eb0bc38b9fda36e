//! Kafka client of a test, without a proxy.

use std::time::Duration;

use contracts::{
    patient::events::PatientEvent,
    topics::{AUDIT, AUDIT_DLQ, AUDIT_GROUP, AUDIT_PARTITIONS, PATIENT, PATIENT_DLQ, PATIENT_PARTITIONS},
};
use prost::Message as _;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    message::{Header, Headers, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
    types::RDKafkaErrorCode,
};
use tokio::task::spawn_blocking;

use crate::wait_for;

/// Time limit of one request to the broker.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A client of the broker.
#[derive(Debug, Clone)]
pub struct Kafka {
    bootstrap: String,
}

/// A message of a topic.
#[derive(Debug, Clone)]
pub struct Record {
    /// Partition, from 0.
    pub partition: i32,
    /// Position in the partition.
    pub offset: i64,
    /// Key, which selects the partition.
    pub key: Vec<u8>,
    /// Value of the message.
    pub payload: Vec<u8>,
    /// Headers in their order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// Returns the value of a header as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// Returns the event, if the message is one.
    pub fn event(&self) -> Option<PatientEvent> {
        let event = PatientEvent::decode(self.payload.as_slice()).ok()?;
        uuid::Uuid::parse_str(&event.event_id).is_ok().then_some(event)
    }
}

impl Kafka {
    pub(crate) fn new(bootstrap: &str) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
        }
    }

    /// Returns the bootstrap server, as `host:port`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Creates the platform's topics, as a deployment does.
    ///
    /// # Panics
    /// If the broker rejects them.
    pub async fn create_topics(&self) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().expect("an admin client");
        let topics = [
            NewTopic::new(PATIENT, PATIENT_PARTITIONS, TopicReplication::Fixed(1)),
            NewTopic::new(PATIENT_DLQ, 1, TopicReplication::Fixed(1)),
            NewTopic::new(AUDIT, AUDIT_PARTITIONS, TopicReplication::Fixed(1)),
            NewTopic::new(AUDIT_DLQ, 1, TopicReplication::Fixed(1)),
        ];
        wait_for("the topics to be created", TIMEOUT, async || {
            let created = admin.create_topics(&topics, &AdminOptions::new()).await.ok()?;
            let exists = |result: &Result<String, (String, RDKafkaErrorCode)>| {
                matches!(result, Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)))
            };
            created.iter().all(exists).then_some(())
        })
        .await;
    }

    /// Returns every message of a topic, by partition and offset.
    ///
    /// # Panics
    /// If the broker does not respond.
    pub async fn records(&self, topic: &str) -> Vec<Record> {
        let (config, topic) = (self.config(), topic.to_owned());
        let read = spawn_blocking(move || {
            let consumer = reader(config, "end-to-end-reader");
            let ends = ends(&consumer, &topic);
            let mut from = TopicPartitionList::new();
            for (partition, low, _) in &ends {
                from.add_partition_offset(&topic, *partition, Offset::Offset(*low))
                    .expect("an offset");
            }
            consumer.assign(&from).expect("assign");
            let mut missing: i64 = ends.iter().map(|(_, low, high)| high - low).sum();
            let mut records = Vec::new();
            while missing > 0 {
                let message = consumer
                    .poll(TIMEOUT)
                    .expect("another message in time")
                    .expect("a message");
                let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
                records.push(Record {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: message.key().unwrap_or_default().to_vec(),
                    payload: message.payload().unwrap_or_default().to_vec(),
                    headers: headers
                        .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
                        .collect(),
                });
                missing -= 1;
            }
            records.sort_by_key(|record| (record.partition, record.offset));
            records
        });
        read.await.expect("the topic's reader")
    }

    /// Returns the events of [`PATIENT`], by partition and offset, without messages that are not events.
    pub async fn events(&self) -> Vec<PatientEvent> {
        self.records(PATIENT).await.iter().filter_map(Record::event).collect()
    }

    /// Returns the number of messages of the group's topic that the group has not committed yet.
    pub async fn lag(&self, group: &str) -> i64 {
        self.offsets(group)
            .await
            .iter()
            .map(|(_, committed, end)| end - committed)
            .sum()
    }

    /// Returns partition, committed offset (the beginning if there is none) and end offset of the topic that the group consumes.
    ///
    /// # Panics
    /// If the broker does not answer.
    pub async fn offsets(&self, group: &str) -> Vec<(i32, i64, i64)> {
        let (config, group) = (self.config(), group.to_owned());
        let topic = if group == AUDIT_GROUP { AUDIT } else { PATIENT };
        let offsets = spawn_blocking(move || {
            let consumer = reader(config, &group);
            let ends = ends(&consumer, topic);
            let mut list = TopicPartitionList::new();
            for (partition, ..) in &ends {
                list.add_partition(topic, *partition);
            }
            let committed = consumer.committed_offsets(list, TIMEOUT).expect("the group's offsets");
            let committed = |partition| match committed.find_partition(topic, partition).map(|it| it.offset()) {
                Some(Offset::Offset(offset)) => Some(offset),
                _ => None,
            };
            ends.into_iter()
                .map(|(partition, low, high)| (partition, committed(partition).unwrap_or(low), high))
                .collect()
        });
        offsets.await.expect("the group's offsets")
    }

    /// Returns the current number of members of a group.
    ///
    /// # Panics
    /// If the broker does not respond.
    pub async fn members(&self, group: &str) -> usize {
        let (config, group) = (self.config(), group.to_owned());
        let members = spawn_blocking(move || {
            let consumer = reader(config, "end-to-end-reader");
            let groups = consumer.fetch_group_list(Some(&group), TIMEOUT).expect("the group");
            groups.groups().iter().map(|group| group.members().len()).sum()
        });
        members.await.expect("the group's members")
    }

    /// Writes a message and returns its partition and offset.
    ///
    /// # Panics
    /// If the broker rejects it.
    pub async fn produce(&self, topic: &str, key: &str, payload: &[u8], headers: &[(&str, &[u8])]) -> (i32, i64) {
        let producer: FutureProducer = self.config().create().expect("a producer");
        let headers = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
            all.insert(Header {
                key,
                value: Some(*value),
            })
        });
        let record = FutureRecord::to(topic).key(key).payload(payload).headers(headers);
        let sent = producer.send(record, TIMEOUT).await.expect("an acknowledged message");
        (sent.partition, sent.offset)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }
}

fn reader(mut config: ClientConfig, group: &str) -> BaseConsumer {
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer")
}

/// Returns partition, first offset and end offset.
fn ends(consumer: &BaseConsumer, topic: &str) -> Vec<(i32, i64, i64)> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).expect("the topic");
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
    partitions
        .map(|partition| {
            let (low, high) = consumer
                .fetch_watermarks(topic, partition.id(), TIMEOUT)
                .expect("the partition's ends");
            (partition.id(), low, high)
        })
        .collect()
}
