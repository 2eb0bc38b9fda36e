//! Dead letters: messages that can never be handled, on `<topic>.dlq`.

use std::time::Duration;

use anyhow::Context;
use rdkafka::{
    Message,
    message::{BorrowedMessage, Header, Headers, OwnedHeaders},
    producer::FutureRecord,
    types::RDKafkaErrorCode,
};

use super::{KafkaArgs, Producer, build_producer};

/// Sends dead letters for one consumer group.
pub(super) struct Letters {
    producer: Producer,
    group: String,
}

impl Letters {
    /// A letter is given up after 3 s and its message tried again later: meanwhile no partition of the consumer moves.
    pub(super) fn new(args: &KafkaArgs, group: &str) -> anyhow::Result<Self> {
        Ok(Self {
            producer: build_producer(args, "3000")?,
            group: group.to_owned(),
        })
    }

    /// Puts the message aside, with its own key, value and headers, and waits until it is there.
    ///
    /// Why and where it comes from stand in headers before its own: reason, topic, partition, offset, group, timestamp.
    /// The letter has no old timestamp of its own, or a topic that forgets after some days would forget it too early.
    pub(super) async fn bury(&self, message: &BorrowedMessage<'_>, reason: &str) -> anyhow::Result<()> {
        let grave = format!("{}.dlq", message.topic());
        let headers = self.headers(message, reason);
        let whole = self.send(&grave, message, message.payload(), headers.clone()).await;
        let sent = match whole {
            // With its headers it is larger than the broker takes; they still tell where to find its value.
            Err(RDKafkaErrorCode::MessageSizeTooLarge) => self.send(&grave, message, None, headers).await,
            other => other,
        };
        let topic = message.topic().to_owned();
        sent.inspect_err(|_| metrics::counter!("kafka_letters_failed_total", "topic" => topic).increment(1))
            .with_context(|| format!("{grave} does not take the message: does the topic exist?"))?;
        tracing::error!(
            kafka.topic = message.topic(),
            kafka.partition = message.partition(),
            kafka.offset = message.offset(),
            reason,
            "a message that cannot be handled went to {grave}"
        );
        Ok(())
    }

    async fn send(
        &self,
        grave: &str,
        message: &BorrowedMessage<'_>,
        payload: Option<&[u8]>,
        headers: OwnedHeaders,
    ) -> Result<(), RDKafkaErrorCode> {
        let mut record = FutureRecord::<[u8], [u8]>::to(grave).headers(headers);
        record.key = message.key();
        record.payload = payload;
        let sent = self.producer.send(record, Duration::from_secs(3)).await;
        sent.map(drop)
            .map_err(|(error, _)| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))
    }

    fn headers(&self, message: &BorrowedMessage<'_>, reason: &str) -> OwnedHeaders {
        let (partition, offset) = (message.partition().to_string(), message.offset().to_string());
        let timestamp = message.timestamp().to_millis().map(|at| at.to_string());
        let told = [
            ("reason", Some(reason)),
            ("topic", Some(message.topic())),
            ("partition", Some(&*partition)),
            ("offset", Some(&*offset)),
            ("group", Some(&*self.group)),
            ("timestamp", timestamp.as_deref()),
        ];
        let mut headers = OwnedHeaders::new();
        for (key, value) in told {
            headers = headers.insert(Header { key, value });
        }
        for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
            headers = headers.insert(header);
        }
        headers
    }
}
