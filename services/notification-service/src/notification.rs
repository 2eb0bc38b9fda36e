//! Notifications as people see them.

use serde::Serialize;
use sqlx::{FromRow, PgExecutor};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Something that a patient was told, or is about to be.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    pub id: Uuid,
    pub patient_id: Uuid,
    #[sqlx(try_from = "String")]
    pub kind: Kind,
    #[sqlx(try_from = "String")]
    pub status: Status,
    /// How often sending was tried.
    #[schema(minimum = 0)]
    pub attempts: i32,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// When it was sent or given up; absent while it is pending.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    pub finished_at: Option<OffsetDateTime>,
}

/// What a notification is about.
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
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Welcome => "WELCOME",
            Kind::DetailsChanged => "DETAILS_CHANGED",
            Kind::Farewell => "FAREWELL",
        }
    }
}

impl TryFrom<String> for Kind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "WELCOME" => Ok(Kind::Welcome),
            "DETAILS_CHANGED" => Ok(Kind::DetailsChanged),
            "FAREWELL" => Ok(Kind::Farewell),
            _ => Err(format!(
                "notifications.kind holds `{text}`, which this version does not know"
            )),
        }
    }
}

/// How far the sending is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Not sent yet, or tried and to be tried again.
    Pending,
    Sent,
    /// Given up after many attempts.
    Failed,
}

impl TryFrom<String> for Status {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "PENDING" => Ok(Status::Pending),
            "SENT" => Ok(Status::Sent),
            "FAILED" => Ok(Status::Failed),
            _ => Err(format!(
                "notifications.status holds `{text}`, which is none of PENDING, SENT, FAILED"
            )),
        }
    }
}

/// Lists notifications, oldest first: at most `limit`, those after `after`, only the patient's when one is given.
pub async fn list(
    db: impl PgExecutor<'_>,
    patient_id: Option<Uuid>,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Notification>> {
    // Ids are UUIDs of version 7, so their order is that of the writing.
    sqlx::query_as(
        "select id, patient_id, kind, status, attempts, created_at, finished_at from notifications
         where ($1::uuid is null or patient_id = $1) and ($2::uuid is null or id > $2)
         order by id limit $3",
    )
    .bind(patient_id)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await
}
