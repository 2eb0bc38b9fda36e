//! The sender: sends queued notifications, at least once.

use std::{sync::Arc, time::Duration};

use kit::database::Pool;
use kit::database::{self, with_timeout};
use kit::mail::{MailError, Mailer};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    backlog,
    delivery::{self, DueNotification},
    message,
    notification::{Kind, Reason},
};

/// Interval in which the table is polled, for retries and for notifications that another replica queued.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Timeout of one delivery; that of the mailers is shorter.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(25);

/// Sends notifications; several replicas may do so at the same time.
pub struct Sender {
    pool: Pool,
    mailer: Option<Arc<dyn Mailer>>,
    queued: Arc<Notify>,
}

/// Result of one attempt.
enum Outcome {
    Sent(&'static str),
    Skipped(Reason),
    /// Another attempt follows unless the notification is too old.
    Postponed(MailError),
    Refused(MailError),
}

impl Sender {
    /// Returns a sender; without a mailer notifications are skipped. `queued` is notified after a notification was queued.
    pub fn new(pool: Pool, mailer: Option<Arc<dyn Mailer>>, queued: Arc<Notify>) -> Self {
        Self { pool, mailer, queued }
    }

    /// Sends due notifications until the shutdown. A failure of the database is logged and retried.
    ///
    /// # Errors
    /// Never; the signature is that of a background task.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        tokio::select! {
            () = backlog::measure(&self.pool) => {}
            () = self.send_until(&shutdown) => {}
        }
        Ok(())
    }

    async fn send_until(&self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            match self.send_next().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    database::record_error(&error);
                    tracing::warn!(error = %database::describe(&error), "cannot read or update notifications; retrying");
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.queued.notified() => {}
                () = sleep(POLL_INTERVAL) => {}
            }
        }
    }

    /// Sends the notification that was due first, and returns false if none is due.
    ///
    /// # Errors
    /// Fails if the database fails. A notification whose delivery could not be recorded is sent again after its lease.
    pub async fn send_next(&self) -> sqlx::Result<bool> {
        let Some(due) = with_timeout(delivery::lease(&self.pool)).await? else {
            return Ok(false);
        };
        let (id, attempts) = (due.id, due.attempts);
        let outcome = match self.attempt(&due).await {
            Outcome::Sent(channel) => {
                with_timeout(delivery::sent(&self.pool, id, channel)).await?;
                tracing::info!(notification.id = %id, notification.kind = due.kind.as_str(), "sent a notification");
                "sent"
            }
            Outcome::Skipped(reason) => {
                with_timeout(delivery::skip(&self.pool, id, reason)).await?;
                tracing::info!(notification.id = %id, ?reason, "skipped a notification");
                "skipped"
            }
            Outcome::Refused(error) => {
                tracing::error!(notification.id = %id, attempts, %error, "a notification failed permanently");
                with_timeout(delivery::fail(&self.pool, id, Reason::Refused)).await?;
                "refused"
            }
            Outcome::Postponed(error) if due.is_expired => {
                tracing::error!(notification.id = %id, attempts, %error, "a notification was not sent within a day");
                with_timeout(delivery::fail(&self.pool, id, Reason::Expired)).await?;
                "expired"
            }
            Outcome::Postponed(error) => {
                tracing::warn!(notification.id = %id, attempts, %error, "cannot send a notification; retrying");
                with_timeout(delivery::postpone(&self.pool, id, attempts)).await?;
                "postponed"
            }
        };
        metrics::counter!("notification_deliveries_total", "outcome" => outcome).increment(1);
        Ok(true)
    }

    async fn attempt(&self, due: &DueNotification) -> Outcome {
        // A deletion is confirmed whatever the preferences are.
        if !due.email_allowed && due.kind != Kind::Farewell {
            return Outcome::Skipped(Reason::OptedOut);
        }
        let Some(mailer) = &self.mailer else {
            return Outcome::Skipped(Reason::NoTransport);
        };
        let Some(recipient) = due.recipient() else {
            return Outcome::Skipped(Reason::NoRecipient);
        };
        let mail = message::compose(due.message_id, due.kind, &recipient);
        let sent = timeout(DELIVERY_TIMEOUT, mailer.send(&mail)).await;
        match sent.unwrap_or_else(|_| Err(MailError::Unavailable("no response within 25 s".to_owned()))) {
            Ok(()) => Outcome::Sent(mailer.transport()),
            Err(error) if error.is_permanent() => Outcome::Refused(error),
            Err(error) => Outcome::Postponed(error),
        }
    }
}
