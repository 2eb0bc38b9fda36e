//! A mailer that keeps what it is given.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::mail::{Mail, MailError, Mailer};

/// Records mail instead of sending it; clones share the messages.
#[derive(Clone, Default)]
pub struct Mailbox {
    sent: Arc<Mutex<Vec<Mail>>>,
    failure: Arc<Mutex<Option<MailError>>>,
}

impl Mailbox {
    /// Returns the messages that were taken, oldest first.
    #[must_use]
    pub fn sent(&self) -> Vec<Mail> {
        self.sent.lock().clone()
    }

    /// Returns the messages to one address, oldest first.
    #[must_use]
    pub fn sent_to(&self, address: &str) -> Vec<Mail> {
        let mut mails = self.sent();
        mails.retain(|mail| mail.to == address);
        mails
    }

    /// Sets the error of all following attempts; `None` takes messages again.
    pub fn fail(&self, failure: Option<MailError>) {
        *self.failure.lock() = failure;
    }
}

#[async_trait]
impl Mailer for Mailbox {
    fn transport(&self) -> &'static str {
        "mailbox"
    }

    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        if let Some(failure) = self.failure.lock().clone() {
            return Err(failure);
        }
        self.sent.lock().push(mail.clone());
        Ok(())
    }
}
