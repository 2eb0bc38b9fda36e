//! Mail to one recipient, over SMTP or Amazon SES.

mod address;
mod args;
mod ses;
mod smtp;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use uuid::Uuid;

pub use args::{MailArgs, Transport};

/// A message in plain text; it has no `Debug`, because it is personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Local part of the header `Message-ID`: the same for each attempt, so that a second copy is recognised as one (RFC 5322,
    /// 3.6.4). Amazon SES replaces the header by its own.
    pub message_id: Uuid,
    /// Email address of the recipient.
    pub to: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

/// Sends mail.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Returns the name of the transport, such as `smtp`.
    fn transport(&self) -> &'static str;

    /// Sends one message; returns when a server took the responsibility for it.
    ///
    /// # Errors
    /// If the server refused the message, or if it may not have taken it; a second attempt is safe, because the id is the same.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}

/// Reason for which a message was not sent; it quotes neither the address nor the message, which responses of servers do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The recipient or the message is refused; another attempt would fail too.
    #[error("the recipient or the message was refused: {0}")]
    Refused(String),
    /// The server is away, busy, or its settings are wrong; a later attempt may succeed.
    #[error("the message was not taken: {0}")]
    Unavailable(String),
}

impl MailError {
    /// Returns whether another attempt would fail too.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}
