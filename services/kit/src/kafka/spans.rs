//! Spans of messages, by OpenTelemetry's semantic conventions for Kafka.

use rdkafka::{Message, error::KafkaError, message::OwnedMessage, producer::future_producer::Delivery};

use crate::trace::{Kind, Span};

/// The span of sending one message to `topic`; `header` is the trace of the work that the message tells of.
///
/// The message carries this span's trace on, so that whoever reads it continues from here.
pub(crate) fn sending(topic: &str, header: Option<&str>) -> Span {
    let mut span = Span::continued(Kind::Producer, format!("send {topic}"), header);
    span.set("messaging.system", "kafka");
    span.set("messaging.operation.name", "send");
    span.set("messaging.operation.type", "send");
    span.set("messaging.destination.name", topic.to_owned());
    span
}

/// Notes where the message went, or that it did not.
pub(crate) fn sent(span: &mut Span, outcome: &Result<Delivery, (KafkaError, OwnedMessage)>) {
    match outcome {
        Ok(delivery) => {
            span.set("messaging.destination.partition.id", delivery.partition.to_string());
            span.set("messaging.kafka.offset", delivery.offset);
        }
        Err((error, _)) => {
            let code = error.rdkafka_error_code();
            span.fail(code.map_or_else(|| "unsent".to_owned(), |code| format!("{code:?}")));
        }
    }
}

/// The span of handling one message; `header` is its trace.
pub(super) fn processing(message: &impl Message, group: &str, header: Option<&str>) -> Span {
    let topic = message.topic();
    let mut span = Span::continued(Kind::Consumer, format!("process {topic}"), header);
    span.set("messaging.system", "kafka");
    span.set("messaging.operation.name", "process");
    span.set("messaging.operation.type", "process");
    span.set("messaging.destination.name", topic.to_owned());
    span.set("messaging.destination.partition.id", message.partition().to_string());
    span.set("messaging.kafka.offset", message.offset());
    span.set("messaging.consumer.group.name", group.to_owned());
    span
}
