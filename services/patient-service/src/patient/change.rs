//! Changes of a patient: who changed which fields, without values.

use kit::Claims;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgExecutor};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Patient;

/// A change of a patient.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The patient's version after the change, from 1.
    #[schema(minimum = 1, example = 1)]
    pub version: i64,
    /// The user who made it; absent for demo data.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub user_id: Option<Uuid>,
    /// The role of that user at the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "USER")]
    pub role: Option<String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: OffsetDateTime,
    /// Names of the fields whose value changed; all of them for the creation.
    #[schema(example = json!(["name", "email"]))]
    pub fields: Vec<String>,
}

/// Lists changes of a patient, oldest first: at most `rows`, starting behind the version `after`.
///
/// # Errors
/// Fails if the database fails.
pub async fn list(
    executor: impl PgExecutor<'_>,
    patient: Uuid,
    after: Option<i64>,
    rows: i64,
) -> sqlx::Result<Vec<Change>> {
    sqlx::query_as(
        "select version, user_id, role, changed_at, fields from patient_change
         where patient_id = $1 and version > coalesce($2, 0) order by version limit $3",
    )
    .bind(patient)
    .bind(after)
    .bind(rows)
    .fetch_all(executor)
    .await
}

/// Inserts a change, in its transaction; `old` is `None` for the creation, `user` is `None` for demo data.
pub(super) async fn insert(
    transaction: &mut PgConnection,
    old: Option<&Patient>,
    new: &Patient,
    user: Option<&Claims>,
) -> sqlx::Result<()> {
    let insert = "insert into patient_change (patient_id, version, user_id, role, fields) values ($1, $2, $3, $4, $5)";
    sqlx::query(insert)
        .bind(new.id)
        .bind(new.version)
        .bind(user.map(|user| user.sub))
        .bind(user.map(|user| user.role.as_str()))
        .bind(changed_fields(old, new))
        .execute(transaction)
        .await
        .map(drop)
}

/// Returns the names of the fields whose value changed; all of them for the creation.
pub(super) fn changed_fields(old: Option<&Patient>, new: &Patient) -> Vec<&'static str> {
    let differs = |differs: fn(&Patient, &Patient) -> bool| old.is_none_or(|old| differs(old, new));
    [
        ("name", differs(|old, new| old.name != new.name)),
        ("email", differs(|old, new| old.email != new.email)),
        ("address", differs(|old, new| old.address != new.address)),
        (
            "dateOfBirth",
            differs(|old, new| old.date_of_birth != new.date_of_birth),
        ),
        (
            "registeredDate",
            differs(|old, new| old.registered_date != new.registered_date),
        ),
    ]
    .into_iter()
    .filter_map(|(field, differs)| differs.then_some(field))
    .collect()
}
