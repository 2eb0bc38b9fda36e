//! Delivery of email messages.

use async_trait::async_trait;

use crate::message::EmailMessage;

/// Delivers email messages.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Delivers one message.
    ///
    /// # Errors
    /// Fails if the message may not have been delivered; it is retried. The error is logged, so it must quote neither the
    /// recipient nor the message, which responses of mail servers often do.
    async fn deliver(&self, message: &EmailMessage) -> anyhow::Result<()>;
}

/// Logs each message instead of delivering it: ids only, because names and addresses must not appear in a log.
pub struct LogMailer;

#[async_trait]
impl Mailer for LogMailer {
    async fn deliver(&self, message: &EmailMessage) -> anyhow::Result<()> {
        tracing::info!(
            notification.id = %message.notification_id,
            notification.kind = message.kind.as_str(),
            notification.subject = message.subject,
            notification.bytes = message.to.len() + message.body.len(),
            message.id = message.message_id,
            patient.id = %message.patient_id,
            "notification sent"
        );
        Ok(())
    }
}
