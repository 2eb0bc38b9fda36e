//! Notifications in the database, as clients see them.

use serde::Serialize;
use sqlx::{FromRow, PgExecutor};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A notification of a patient, sent or to be sent.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    pub id: Uuid,
    pub patient_id: Uuid,
    #[sqlx(try_from = "String")]
    pub kind: Kind,
    #[sqlx(try_from = "String")]
    pub status: Status,
    /// Number of attempts to send it.
    #[schema(minimum = 0)]
    pub attempts: i32,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// Time at which it was sent or had failed; absent while it is pending.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    pub finished_at: Option<OffsetDateTime>,
}

/// Subject of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// The patient was registered.
    Welcome,
    /// The patient's details were changed.
    DetailsChanged,
    /// The patient was deleted.
    Farewell,
}

impl Kind {
    /// Returns the value in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Welcome => "WELCOME",
            Self::DetailsChanged => "DETAILS_CHANGED",
            Self::Farewell => "FAREWELL",
        }
    }
}

/// Progress of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Not sent yet; failed attempts are retried.
    Pending,
    Sent,
    /// Abandoned after the maximum number of attempts.
    Failed,
}

impl Status {
    /// Returns the value in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Sent => "SENT",
            Self::Failed => "FAILED",
        }
    }
}

/// A column contains a value that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("notifications.{column} contains the unknown value `{value}`")]
pub struct UnknownValue {
    column: &'static str,
    value: String,
}

impl TryFrom<String> for Kind {
    type Error = UnknownValue;

    fn try_from(value: String) -> Result<Self, UnknownValue> {
        let all = [Self::Welcome, Self::DetailsChanged, Self::Farewell];
        let known = all.into_iter().find(|kind| kind.as_str() == value);
        known.ok_or(UnknownValue { column: "kind", value })
    }
}

impl TryFrom<String> for Status {
    type Error = UnknownValue;

    fn try_from(value: String) -> Result<Self, UnknownValue> {
        let all = [Self::Pending, Self::Sent, Self::Failed];
        let known = all.into_iter().find(|status| status.as_str() == value);
        known.ok_or(UnknownValue {
            column: "status",
            value,
        })
    }
}

/// Lists notifications, oldest first: at most `rows`, starting behind the notification `after`; those of one patient if
/// `patient_id` is `Some`.
///
/// # Errors
/// Fails if the database fails.
pub async fn list(
    db: impl PgExecutor<'_>,
    patient_id: Option<Uuid>,
    after: Option<Uuid>,
    rows: i64,
) -> sqlx::Result<Vec<Notification>> {
    // Ids are UUIDs of version 7, so their order is that of the insertion.
    sqlx::query_as(
        "select id, patient_id, kind, status, attempts, created_at, finished_at from notifications
         where ($1::uuid is null or patient_id = $1) and ($2::uuid is null or id > $2)
         order by id limit $3",
    )
    .bind(patient_id)
    .bind(after)
    .bind(rows)
    .fetch_all(db)
    .await
}
