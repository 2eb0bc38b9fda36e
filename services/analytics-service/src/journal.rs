//! The journal of events, and the state of each patient that follows from it.

use contracts::events::{Event, EventType};
use kit::database::Pool;

/// Result of recording an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// The event is the newest of its patient, whose state it replaced.
    Applied,
    /// The event is in the journal, but a newer version or the deletion was recorded before.
    Late,
    /// The event was recorded before.
    Duplicate,
}

impl Recorded {
    /// Returns the value of the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
        }
    }
}

/// Records the event and its effect in one transaction, so that a crash leaves both or neither.
///
/// # Errors
/// Fails if the database fails; nothing is recorded then.
pub async fn record(pool: &Pool, event: &Event) -> sqlx::Result<Recorded> {
    let mut transaction = pool.begin().await?;
    let journal = sqlx::query(
        "insert into events (event_id, patient_id, event_type, version, occurred_at) values ($1, $2, $3, $4, $5)
         on conflict (event_id) do nothing",
    )
    .bind(event.event_id)
    .bind(event.patient_id)
    .bind(event.event_type.as_str())
    .bind(event.version)
    .bind(event.occurred_at)
    .execute(&mut *transaction)
    .await?;
    if journal.rows_affected() == 0 {
        return Ok(Recorded::Duplicate);
    }
    let deleted = event.event_type == EventType::Deleted;
    let patient = sqlx::query(
        "insert into patients (patient_id, version, birth_year, deleted) values ($1, $2, $3, $4)
         on conflict (patient_id) do update
             set version = excluded.version, birth_year = excluded.birth_year, deleted = excluded.deleted
             where patients.version < excluded.version and not patients.deleted",
    )
    .bind(event.patient_id)
    .bind(event.version)
    .bind(if deleted { None } else { event.birth_year })
    .bind(deleted)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(if patient.rows_affected() == 0 {
        Recorded::Late
    } else {
        Recorded::Applied
    })
}
