//! Dead letters: what a message on [`crate::topics::PATIENT_DLQ`] brings along.
//!
//! The key, the value and the headers (`traceparent` among them) are those of the message that could not be handled; the
//! headers named here stand before them, so that who looks for the first of a name finds these. To publish the message
//! again, send its key and value to the topic it came from.

/// Why it cannot be handled, in a sentence that quotes nothing of it.
pub const REASON: &str = "reason";
/// The topic that it came from.
pub const TOPIC: &str = "topic";
/// Its partition there, in decimal digits.
pub const PARTITION: &str = "partition";
/// Its offset there, in decimal digits.
pub const OFFSET: &str = "offset";
/// The consumer group that could not handle it; another group may have.
pub const GROUP: &str = "group";
/// When it was published there, in milliseconds since 1970; the letter's own timestamp is that of its burial.
pub const TIMESTAMP: &str = "timestamp";
