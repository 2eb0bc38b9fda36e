//! Writing an event into the journal and what follows from it, once.

use contracts::events::{Event, EventType};
use sqlx::PgPool;

/// What recording an event came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// The patient's state is now that of the event.
    Applied,
    /// The event is in the journal, but a newer version or a deletion was known already.
    Late,
    /// The event had been recorded before.
    Duplicate,
}

impl Recorded {
    /// The value of the metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Recorded::Applied => "applied",
            Recorded::Late => "late",
            Recorded::Duplicate => "duplicate",
        }
    }
}

/// Records the event and its effect in one transaction, so that a crash leaves both or neither.
///
/// # Errors
/// Those of the database; nothing is recorded then.
pub async fn record(pool: &PgPool, event: &Event) -> sqlx::Result<Recorded> {
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
