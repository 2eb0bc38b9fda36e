//! Spans of messages, named by OpenTelemetry's semantic conventions for Kafka.

use rdkafka::{Message, error::KafkaError, message::OwnedMessage, producer::future_producer::Delivery};

use crate::trace::{Kind, Span};

/// Starts the span of sending one message to `topic`; `header` is the trace of the work that caused the message.
///
/// The message carries this span's trace, so that its consumers continue from here.
pub(crate) fn producer_span(topic: &str, header: Option<&str>) -> Span {
    let span = Span::continued(Kind::Producer, format!("send {topic}"), header);
    span.set("messaging.system", "kafka");
    span.set("messaging.operation.name", "send");
    span.set("messaging.operation.type", "send");
    span.set("messaging.destination.name", topic.to_owned());
    span
}

/// Records partition and offset of a sent message, or the failure.
pub(crate) fn record_delivery(span: &Span, outcome: &Result<Delivery, (KafkaError, OwnedMessage)>) {
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

/// Starts the span of handling one message; `header` is the message's trace.
pub(super) fn consumer_span(message: &impl Message, group: &str, header: Option<&str>) -> Span {
    let topic = message.topic();
    let span = Span::continued(Kind::Consumer, format!("process {topic}"), header);
    span.set("messaging.system", "kafka");
    span.set("messaging.operation.name", "process");
    span.set("messaging.operation.type", "process");
    span.set("messaging.destination.name", topic.to_owned());
    span.set("messaging.destination.partition.id", message.partition().to_string());
    span.set("messaging.kafka.offset", message.offset());
    span.set("messaging.consumer.group.name", group.to_owned());
    span
}
