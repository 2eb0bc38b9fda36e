//! Sending what waits to be sent, at least once.

use std::{sync::Arc, time::Duration};

use kit::database::{self, with_timeout};
use sqlx::{FromRow, PgPool};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{letter::Letter, notification::Kind, sink::Sink};

/// How often the table is looked at when nobody wakes the sender: for retries, and for what another replica left.
const POLL: Duration = Duration::from_secs(2);
/// How long one delivery may take.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a notification belongs to the sender that took it; longer than a delivery, so that two never hold it.
const LEASE: Duration = Duration::from_secs(30);
/// After so many attempts (about two hours) a notification has failed.
const MAX_ATTEMPTS: i32 = 12;

/// Sends notifications until `shutdown`; a second replica may do the same at the same time.
pub struct Sender<S> {
    pool: PgPool,
    sink: S,
    wake: Arc<Notify>,
}

impl<S: Sink> Sender<S> {
    /// `wake` is notified when a notification was written.
    pub fn new(pool: PgPool, sink: S, wake: Arc<Notify>) -> Self {
        Self { pool, sink, wake }
    }

    /// Sends what is due, then waits for more; a database that is away is waited for, so it ends well or not at all.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while !shutdown.is_cancelled() {
            match self.send_next().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    database::record_error(&error);
                    tracing::warn!(error = %database::describe(&error), "notifications cannot be read; trying again");
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        Ok(())
    }

    /// Sends the notification that has waited longest, and answers whether there was one.
    ///
    /// # Errors
    /// Those of the database. A letter whose success could not be written down is sent again when its lease ends.
    pub async fn send_next(&self) -> sqlx::Result<bool> {
        let Some(due) = with_timeout(take(&self.pool)).await? else {
            return Ok(false);
        };
        let kind = Kind::try_from(due.kind).map_err(|reason| sqlx::Error::Decode(reason.into()))?;
        let letter = Letter::write(
            due.id,
            due.event_id,
            due.patient_id,
            kind,
            &due.recipient_name,
            due.recipient_email,
        );
        let delivery = tokio::time::timeout(DELIVERY_TIMEOUT, self.sink.deliver(&letter)).await;
        let outcome = match delivery.map_err(anyhow::Error::from).and_then(|result| result) {
            Ok(()) => {
                with_timeout(finish(&self.pool, due.id, "SENT")).await?;
                "sent"
            }
            Err(error) if due.attempts >= MAX_ATTEMPTS => {
                tracing::error!(notification.id = %due.id, attempts = due.attempts, %error, "notification given up");
                with_timeout(finish(&self.pool, due.id, "FAILED")).await?;
                "failed"
            }
            Err(error) => {
                tracing::warn!(notification.id = %due.id, attempts = due.attempts, %error, "notification not sent yet");
                with_timeout(postpone(&self.pool, due.id, due.attempts)).await?;
                "postponed"
            }
        };
        metrics::counter!("notification_deliveries_total", "outcome" => outcome).increment(1);
        Ok(true)
    }
}

#[derive(FromRow)]
struct Due {
    id: Uuid,
    event_id: Uuid,
    patient_id: Uuid,
    kind: String,
    recipient_name: String,
    recipient_email: String,
    /// This one included.
    attempts: i32,
}

/// Leases the next notification that is due; a patient's later one waits for the earlier one.
async fn take(pool: &PgPool) -> sqlx::Result<Option<Due>> {
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

/// Writes down how it ended and forgets to whom it went.
async fn finish(pool: &PgPool, id: Uuid, status: &str) -> sqlx::Result<()> {
    sqlx::query(
        "update notifications
         set status = $2, finished_at = now(), recipient_name = null, recipient_email = null
         where id = $1 and status = 'PENDING'",
    )
    .bind(id)
    .bind(status)
    .execute(pool)
    .await?;
    Ok(())
}

/// Tries again after 2, 4, 8 … seconds, at most half an hour.
async fn postpone(pool: &PgPool, id: Uuid, attempts: i32) -> sqlx::Result<()> {
    sqlx::query("update notifications set next_attempt_at = now() + make_interval(secs => $2) where id = $1")
        .bind(id)
        .bind(f64::from(attempts.clamp(1, 20)).exp2().min(1800.0))
        .execute(pool)
        .await?;
    Ok(())
}
