//! Preferences of a patient.

use kit::database::Pool;
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use utoipa::ToSchema;
use uuid::Uuid;

/// Preferences of a patient, erased with the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": false}))]
pub struct Preferences {
    /// True if notifications are sent by email. The confirmation of a deletion is always sent.
    pub email: bool,
}

/// Reads the preferences; `None` if the patient is unknown or deleted.
///
/// # Errors
/// Fails if the database fails.
pub(crate) async fn read(pool: &Pool, patient_id: Uuid) -> sqlx::Result<Option<Preferences>> {
    let allowed = sqlx::query_scalar("select email_allowed from patients where patient_id = $1 and not deleted");
    let allowed = allowed.bind(patient_id).fetch_optional(pool).await?;
    Ok(allowed.map(|email| Preferences { email }))
}

/// Stores the preferences; returns false if the patient is unknown or deleted.
///
/// # Errors
/// Fails if the database fails.
pub(crate) async fn store(db: impl PgExecutor<'_>, patient_id: Uuid, preferences: Preferences) -> sqlx::Result<bool> {
    let stored = sqlx::query("update patients set email_allowed = $2 where patient_id = $1 and not deleted")
        .bind(patient_id)
        .bind(preferences.email)
        .execute(db)
        .await?;
    Ok(stored.rows_affected() == 1)
}
