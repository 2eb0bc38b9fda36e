//! The inbox: turns each event into at most one notification.

use kit::database::Pool;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    event::{Event, Recipient},
    notification::Kind,
};

/// Result of receiving an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// A notification is queued.
    Queued,
    /// A newer version or the deletion was received before, so the event is outdated.
    Late,
    /// The patient is deleted, and the event contains no recipient.
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
    let patient = sqlx::query(
        "insert into patients (patient_id, version, deleted) values ($1, $2, $3)
         on conflict (patient_id) do update set version = excluded.version, deleted = excluded.deleted
             where patients.version < excluded.version and not patients.deleted",
    )
    .bind(event.patient_id)
    .bind(event.version)
    .bind(event.kind == Kind::Farewell)
    .execute(&mut *transaction)
    .await?;
    let received = match &event.recipient {
        _ if patient.rows_affected() == 0 => Received::Late,
        Some(recipient) => {
            queue(&mut transaction, event, recipient).await?;
            Received::Queued
        }
        None => Received::NoRecipient,
    };
    transaction.commit().await?;
    Ok(received)
}

/// Inserts the notification that the sender will find.
async fn queue(db: &mut PgConnection, event: &Event, recipient: &Recipient) -> sqlx::Result<()> {
    sqlx::query(
        "insert into notifications (id, event_id, patient_id, version, kind, recipient_name, recipient_email)
             values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(Uuid::now_v7())
    .bind(event.event_id)
    .bind(event.patient_id)
    .bind(event.version)
    .bind(event.kind.as_str())
    .bind(&recipient.name)
    .bind(&recipient.email)
    .execute(db)
    .await?;
    Ok(())
}
