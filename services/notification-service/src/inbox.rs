//! The inbox: turns each event into at most one notification.

use kit::database::Pool;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::event::{Change, Event, Recipient};

/// Result of receiving an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// A notification is queued.
    Queued,
    /// A newer version or the deletion was received before, so the event is outdated.
    Late,
    /// The patient is deleted, and no address was known.
    NoRecipient,
    /// The event was received before.
    Duplicate,
}

impl Received {
    /// Returns the value of the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Received::Queued => "queued",
            Received::Late => "late",
            Received::NoRecipient => "no_recipient",
            Received::Duplicate => "duplicate",
        }
    }
}

/// Records the event and queues its notification, in one transaction.
///
/// # Errors
/// Fails if the database fails; nothing is written then.
pub async fn receive(pool: &Pool, event: &Event) -> sqlx::Result<Received> {
    let mut transaction = pool.begin().await?;
    let handled = sqlx::query("insert into handled_events (event_id) values ($1) on conflict (event_id) do nothing")
        .bind(event.event_id)
        .execute(&mut *transaction)
        .await?;
    if handled.rows_affected() == 0 {
        return Ok(Received::Duplicate);
    }
    let known = known_recipient(&mut transaction, event.patient_id).await?;
    let received = if !update_patient(&mut transaction, event).await? {
        Received::Late
    } else if event.change != Change::Deleted {
        // The sender reads the recipient of that moment.
        queue(&mut transaction, event, None).await?;
        Received::Queued
    } else {
        skip_pending(&mut transaction, event.patient_id).await?;
        match known {
            Some(recipient) => {
                queue(&mut transaction, event, Some(&recipient)).await?;
                Received::Queued
            }
            None => Received::NoRecipient,
        }
    };
    transaction.commit().await?;
    Ok(received)
}

/// Locks the patient's row, and returns the name and address in it.
async fn known_recipient(db: &mut PgConnection, patient_id: Uuid) -> sqlx::Result<Option<Recipient>> {
    let row: Option<(Option<String>, Option<String>)> =
        sqlx::query_as("select name, email from patients where patient_id = $1 for update")
            .bind(patient_id)
            .fetch_optional(db)
            .await?;
    Ok(row.and_then(|(name, email)| {
        Some(Recipient {
            name: name?,
            email: email?,
        })
    }))
}

/// Stores the patient as of the event, or erases what is known of a deleted one; returns false if the event is outdated.
async fn update_patient(db: &mut PgConnection, event: &Event) -> sqlx::Result<bool> {
    let recipient = event.change.recipient();
    let updated = sqlx::query(
        "insert into patients (patient_id, version, deleted, name, email) values ($1, $2, $3, $4, $5)
         on conflict (patient_id) do update set version = excluded.version, deleted = excluded.deleted,
                 name = excluded.name, email = excluded.email,
                 email_allowed = patients.email_allowed or excluded.deleted
             where patients.version < excluded.version and not patients.deleted",
    )
    .bind(event.patient_id)
    .bind(event.version)
    .bind(event.change == Change::Deleted)
    .bind(recipient.map(|recipient| &recipient.name))
    .bind(recipient.map(|recipient| &recipient.email))
    .execute(db)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Skips what waits for a patient who was deleted.
async fn skip_pending(db: &mut PgConnection, patient_id: Uuid) -> sqlx::Result<()> {
    sqlx::query(
        "update notifications set status = 'SKIPPED', reason = 'NO_RECIPIENT', finished_at = now()
         where patient_id = $1 and status = 'PENDING'",
    )
    .bind(patient_id)
    .execute(db)
    .await?;
    Ok(())
}

/// Inserts the notification that the sender will find; `farewell_to` is the recipient of a farewell, who is erased elsewhere.
async fn queue(db: &mut PgConnection, event: &Event, farewell_to: Option<&Recipient>) -> sqlx::Result<()> {
    sqlx::query(
        "insert into notifications (id, event_id, patient_id, version, kind, recipient_name, recipient_email)
             values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(Uuid::now_v7())
    .bind(event.event_id)
    .bind(event.patient_id)
    .bind(event.version)
    .bind(event.change.kind().as_str())
    .bind(farewell_to.map(|recipient| &recipient.name))
    .bind(farewell_to.map(|recipient| &recipient.email))
    .execute(db)
    .await?;
    Ok(())
}
