//! The sender: sends queued notifications, at least once.

use std::{sync::Arc, time::Duration};

use kit::database::Pool;
use kit::database::{self, with_timeout};
use sqlx::FromRow;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    event::Recipient,
    mailer::Mailer,
    message::EmailMessage,
    notification::{Kind, Status},
};

/// Interval in which the table is polled, for retries and for notifications that another replica queued.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Timeout of one delivery.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);
/// Time for which a notification is leased to one sender; longer than a delivery, so that no two senders deliver it.
const LEASE: Duration = Duration::from_secs(30);
/// Number of attempts, in about two hours, after which a notification has failed.
const MAX_ATTEMPTS: i32 = 12;
/// Maximum pause between two attempts, in seconds.
const MAX_PAUSE_SECONDS: f64 = 1800.0;

/// Sends notifications; several replicas may do so at the same time.
pub struct Sender<M> {
    pool: Pool,
    mailer: M,
    queued: Arc<Notify>,
}

impl<M: Mailer> Sender<M> {
    /// Returns a sender; `queued` is notified after a notification was queued.
    pub fn new(pool: Pool, mailer: M, queued: Arc<Notify>) -> Self {
        Self { pool, mailer, queued }
    }

    /// Sends due notifications until the shutdown. A failure of the database is logged and retried.
    ///
    /// # Errors
    /// Never; the signature is that of a background task.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
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
        Ok(())
    }

    /// Sends the notification that was due first, and returns false if none is due.
    ///
    /// # Errors
    /// Fails if the database fails. A notification whose delivery could not be recorded is sent again after its lease.
    pub async fn send_next(&self) -> sqlx::Result<bool> {
        let Some(due) = with_timeout(lease(&self.pool)).await? else {
            return Ok(false);
        };
        let (id, attempts) = (due.id, due.attempts);
        let message = due.into_message();
        let delivery = timeout(DELIVERY_TIMEOUT, self.mailer.deliver(&message)).await;
        let outcome = match delivery.map_err(anyhow::Error::from).flatten() {
            Ok(()) => {
                with_timeout(finish(&self.pool, id, Status::Sent)).await?;
                "sent"
            }
            Err(error) if attempts >= MAX_ATTEMPTS => {
                tracing::error!(notification.id = %id, attempts, %error, "a notification failed permanently");
                with_timeout(finish(&self.pool, id, Status::Failed)).await?;
                "failed"
            }
            Err(error) => {
                tracing::warn!(notification.id = %id, attempts, %error, "cannot send a notification; retrying");
                with_timeout(postpone(&self.pool, id, attempts)).await?;
                "postponed"
            }
        };
        metrics::counter!("notification_deliveries_total", "outcome" => outcome).increment(1);
        Ok(true)
    }
}

/// A notification that was leased for one attempt.
#[derive(FromRow)]
struct DueNotification {
    id: Uuid,
    event_id: Uuid,
    patient_id: Uuid,
    #[sqlx(try_from = "String")]
    kind: Kind,
    recipient_name: String,
    recipient_email: String,
    /// Number of attempts, including this one.
    attempts: i32,
}

impl DueNotification {
    fn into_message(self) -> EmailMessage {
        let recipient = Recipient {
            name: self.recipient_name,
            email: self.recipient_email,
        };
        EmailMessage::compose(self.id, self.event_id, self.patient_id, self.kind, recipient)
    }
}

/// Leases the next due notification; a later notification of a patient waits for the earlier one.
async fn lease(pool: &Pool) -> sqlx::Result<Option<DueNotification>> {
    sqlx::query_as(
        "update notifications
         set attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => $1)
         where id = (
             select id from notifications due
             where status = 'PENDING' and next_attempt_at <= now() and not exists (
                 select from notifications earlier
                 where earlier.status = 'PENDING' and earlier.patient_id = due.patient_id
                   and earlier.version < due.version
             )
             order by next_attempt_at, id limit 1 for update skip locked
         )
         returning id, event_id, patient_id, kind, recipient_name, recipient_email, attempts",
    )
    .bind(LEASE.as_secs_f64())
    .fetch_optional(pool)
    .await
}

/// Records the final status, and deletes the recipient.
async fn finish(pool: &Pool, id: Uuid, status: Status) -> sqlx::Result<()> {
    sqlx::query(
        "update notifications
         set status = $2, finished_at = now(), recipient_name = null, recipient_email = null
         where id = $1 and status = 'PENDING'",
    )
    .bind(id)
    .bind(status.as_str())
    .execute(pool)
    .await?;
    Ok(())
}

/// Schedules the next attempt, after 2, 4, 8 … seconds.
async fn postpone(pool: &Pool, id: Uuid, attempts: i32) -> sqlx::Result<()> {
    sqlx::query("update notifications set next_attempt_at = now() + make_interval(secs => $2) where id = $1")
        .bind(id)
        .bind(f64::from(attempts.clamp(1, 20)).exp2().min(MAX_PAUSE_SECONDS))
        .execute(pool)
        .await?;
    Ok(())
}
