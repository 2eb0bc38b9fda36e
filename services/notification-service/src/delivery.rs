//! The attempts to send a notification, in the database.

use std::time::Duration;

use kit::database::Pool;
use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    event::Recipient,
    notification::{Kind, Reason, Status},
};

/// Time for which a notification is leased to one sender; longer than a delivery, so that no two senders deliver it.
const LEASE: Duration = Duration::from_secs(40);
/// Time after which a notification that no server took has failed.
const MAX_AGE: Duration = Duration::from_hours(24);
/// Maximum pause between two attempts, in seconds.
const MAX_PAUSE_SECONDS: f64 = 1800.0;

/// A notification that was leased for one attempt.
#[derive(FromRow)]
pub(crate) struct DueNotification {
    pub(crate) id: Uuid,
    pub(crate) message_id: Uuid,
    #[sqlx(try_from = "String")]
    pub(crate) kind: Kind,
    /// Number of attempts, including this one.
    pub(crate) attempts: i32,
    /// True for the last attempt.
    pub(crate) is_expired: bool,
    pub(crate) email_allowed: bool,
    recipient_name: Option<String>,
    recipient_email: Option<String>,
}

impl DueNotification {
    /// Returns the recipient; `None` if nothing is stored of the patient.
    pub(crate) fn recipient(&self) -> Option<Recipient> {
        Some(Recipient {
            name: self.recipient_name.clone()?,
            email: self.recipient_email.clone()?,
        })
    }
}

/// Leases the next due notification, with the patient's current name and address; a later notification of a patient waits for
/// the earlier one.
pub(crate) async fn lease(pool: &Pool) -> sqlx::Result<Option<DueNotification>> {
    sqlx::query_as(
        "update notifications
         set attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => $1)
         from patients
         where patients.patient_id = notifications.patient_id and id = (
             select id from notifications due
             where status = 'PENDING' and next_attempt_at <= now() and not exists (
                 select from notifications earlier
                 where earlier.status = 'PENDING' and earlier.patient_id = due.patient_id
                   and earlier.version < due.version
             )
             order by next_attempt_at, id limit 1 for update skip locked
         )
         returning id, message_id, kind, attempts, queued_at + make_interval(secs => $2) <= now() as is_expired,
             email_allowed, coalesce(name, recipient_name) as recipient_name,
             coalesce(email, recipient_email) as recipient_email",
    )
    .bind(LEASE.as_secs_f64())
    .bind(MAX_AGE.as_secs_f64())
    .fetch_optional(pool)
    .await
}

/// Records that a server took the notification, even if it was skipped in the meantime, because the patient was deleted.
pub(crate) async fn sent(pool: &Pool, id: Uuid, channel: &str) -> sqlx::Result<()> {
    sqlx::query(
        "update notifications
         set status = 'SENT', reason = null, channel = $2, finished_at = now(), recipient_name = null, recipient_email = null
         where id = $1 and status in ('PENDING', 'SKIPPED')",
    )
    .bind(id)
    .bind(channel)
    .execute(pool)
    .await?;
    Ok(())
}

/// Records that there was nothing to send.
pub(crate) async fn skip(pool: &Pool, id: Uuid, reason: Reason) -> sqlx::Result<()> {
    finish(pool, id, Status::Skipped, reason).await
}

/// Records that no more attempts are made.
pub(crate) async fn fail(pool: &Pool, id: Uuid, reason: Reason) -> sqlx::Result<()> {
    finish(pool, id, Status::Failed, reason).await
}

/// Records the final status, and deletes the recipient.
async fn finish(pool: &Pool, id: Uuid, status: Status, reason: Reason) -> sqlx::Result<()> {
    sqlx::query(
        "update notifications
         set status = $2, reason = $3, finished_at = now(), recipient_name = null, recipient_email = null
         where id = $1 and status = 'PENDING'",
    )
    .bind(id)
    .bind(status.as_str())
    .bind(reason)
    .execute(pool)
    .await?;
    Ok(())
}

/// Schedules the next attempt, after about 2, 4, 8 … seconds: between half of that and all, so that notifications that failed
/// together are not retried together.
pub(crate) async fn postpone(pool: &Pool, id: Uuid, attempts: i32) -> sqlx::Result<()> {
    sqlx::query(
        "update notifications set next_attempt_at = now() + make_interval(secs => $2 * (0.5 + random() / 2))
         where id = $1 and status = 'PENDING'",
    )
    .bind(id)
    .bind(f64::from(attempts.clamp(1, 20)).exp2().min(MAX_PAUSE_SECONDS))
    .execute(pool)
    .await?;
    Ok(())
}
