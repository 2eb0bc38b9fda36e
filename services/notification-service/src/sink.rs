//! Where letters leave the system.

use async_trait::async_trait;

use crate::letter::Letter;

/// Hands letters to the world; an error means that the letter may not have left, and it is tried again.
///
/// The error is logged: it must quote neither the recipient nor the letter, which mail servers' answers often do.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    async fn deliver(&self, letter: &Letter) -> anyhow::Result<()>;
}

/// Writes to the log that a letter was sent: ids only, since a name or an address has no place in a log.
pub struct LogSink;

#[async_trait]
impl Sink for LogSink {
    async fn deliver(&self, letter: &Letter) -> anyhow::Result<()> {
        tracing::info!(
            notification.id = %letter.notification_id,
            notification.kind = letter.kind.as_str(),
            notification.subject = letter.subject,
            notification.bytes = letter.to.len() + letter.body.len(),
            message.id = letter.message_id,
            patient.id = %letter.patient_id,
            "notification sent"
        );
        Ok(())
    }
}
