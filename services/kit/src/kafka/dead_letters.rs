//! Messages that can never be handled, and become dead letters on `<topic>.dlq`.

use std::time::Duration;

use anyhow::Context;
use rdkafka::{
    Message,
    message::{BorrowedMessage, Header, Headers, OwnedHeaders},
    producer::FutureRecord,
    types::RDKafkaErrorCode,
};

use super::{KafkaArgs, Producer, build_producer};

/// Timeout of one dead letter. No partition of the consumer makes progress in the meantime; the message is retried later.
const SEND_TIMEOUT: Duration = Duration::from_secs(3);

/// Returns the name of the dead-letter topic of a topic.
pub fn dead_letter_topic(topic: &str) -> String {
    format!("{topic}.dlq")
}

/// Sends the dead letters of one consumer group.
pub(super) struct DeadLetterProducer {
    producer: Producer,
    group: String,
}

impl DeadLetterProducer {
    pub(super) fn new(args: &KafkaArgs, group: &str) -> anyhow::Result<Self> {
        Ok(Self {
            producer: build_producer(args, SEND_TIMEOUT)?,
            group: group.to_owned(),
        })
    }

    /// Writes the message to the dead-letter topic, with its own key, value and headers, and waits for the broker.
    ///
    /// Further headers precede its own: reason, topic, partition, offset, group, timestamp. The record's own timestamp is
    /// the current time; with that of the message, a topic with a retention time would delete it too early.
    pub(super) async fn send(&self, message: &BorrowedMessage<'_>, reason: &str) -> anyhow::Result<()> {
        let target = dead_letter_topic(message.topic());
        let headers = self.headers(message, reason);
        let complete = self.produce(&target, message, message.payload(), headers.clone()).await;
        let sent = match complete {
            // With the additional headers it exceeds the broker's limit; the headers say where to find its value.
            Err(RDKafkaErrorCode::MessageSizeTooLarge) => self.produce(&target, message, None, headers).await,
            other => other,
        };
        let topic = message.topic().to_owned();
        sent.inspect_err(|_| metrics::counter!("kafka_dead_letters_failed_total", "topic" => topic).increment(1))
            .with_context(|| format!("cannot write a dead letter to {target}; check that the topic exists"))?;
        tracing::error!(
            kafka.topic = message.topic(),
            kafka.partition = message.partition(),
            kafka.offset = message.offset(),
            reason,
            "moved a message that cannot be handled to {target}"
        );
        Ok(())
    }

    async fn produce(
        &self,
        topic: &str,
        message: &BorrowedMessage<'_>,
        payload: Option<&[u8]>,
        headers: OwnedHeaders,
    ) -> Result<(), RDKafkaErrorCode> {
        let mut record = FutureRecord::<[u8], [u8]>::to(topic).headers(headers);
        record.key = message.key();
        record.payload = payload;
        let sent = self.producer.send(record, SEND_TIMEOUT).await;
        sent.map(drop)
            .map_err(|(error, _)| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))
    }

    fn headers(&self, message: &BorrowedMessage<'_>, reason: &str) -> OwnedHeaders {
        let (partition, offset) = (message.partition().to_string(), message.offset().to_string());
        let timestamp = message.timestamp().to_millis().map(|at| at.to_string());
        let origin = [
            ("reason", Some(reason)),
            ("topic", Some(message.topic())),
            ("partition", Some(&*partition)),
            ("offset", Some(&*offset)),
            ("group", Some(&*self.group)),
            ("timestamp", timestamp.as_deref()),
        ];
        let mut headers = OwnedHeaders::new();
        for (key, value) in origin {
            headers = headers.insert(Header { key, value });
        }
        for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
            headers = headers.insert(header);
        }
        headers
    }
}
