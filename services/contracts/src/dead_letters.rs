//! The headers of dead letters, which are the messages on [`crate::topics::PATIENT_DLQ`].
//!
//! Key, value and headers (`traceparent` among them) are those of the message that could not be handled. The headers below
//! precede them, so that a lookup of the first header of a name finds these. To publish the message again, send its key
//! and value to the topic it came from.

/// The reason, as a sentence that does not quote the message.
pub const REASON: &str = "reason";
/// The message's topic.
pub const TOPIC: &str = "topic";
/// The message's partition, in decimal digits.
pub const PARTITION: &str = "partition";
/// The message's offset, in decimal digits.
pub const OFFSET: &str = "offset";
/// The consumer group that could not handle the message; another group may have handled it.
pub const GROUP: &str = "group";
/// The message's timestamp, in milliseconds since 1970; the timestamp of the dead letter is the time of its writing.
pub const TIMESTAMP: &str = "timestamp";
