//! Notifications in the database, as clients see them.

use kit::pagination::Total;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgExecutor};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Maximum number of notifications that are counted: an exact count of a million takes longer than the page.
const MAX_COUNTED: i64 = 10_000;

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
    /// Why it is FAILED or SKIPPED; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    pub reason: Option<Reason>,
    /// Transport that took it, `smtp` or `ses`; absent unless it is SENT.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    pub channel: Option<String>,
    /// Number of attempts to send it.
    #[schema(minimum = 0)]
    pub attempts: i32,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// Time at which it was sent, skipped or had failed; absent while it is pending.
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
    /// A mail server took it.
    Sent,
    /// No server took it; no more attempts are made.
    Failed,
    /// There was nothing to send.
    Skipped,
}

impl Status {
    /// Returns the value in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Sent => "SENT",
            Self::Failed => "FAILED",
            Self::Skipped => "SKIPPED",
        }
    }
}

/// Reason for which a notification was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// FAILED: no server took it within a day.
    Expired,
    /// FAILED: the server refused the recipient or the message.
    Refused,
    /// SKIPPED: no mail transport is configured.
    NoTransport,
    /// SKIPPED: the patient wants no email.
    OptedOut,
    /// SKIPPED: the patient was deleted, or no address is known.
    NoRecipient,
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
        let all = [Self::Pending, Self::Sent, Self::Failed, Self::Skipped];
        let known = all.into_iter().find(|status| status.as_str() == value);
        known.ok_or(UnknownValue {
            column: "status",
            value,
        })
    }
}

/// Counts the notifications, up to [`MAX_COUNTED`]; those of one patient if `patient_id` is `Some`.
///
/// # Errors
/// Fails if the database fails.
pub async fn count(db: impl PgExecutor<'_>, patient_id: Option<Uuid>) -> sqlx::Result<Total> {
    let counted: i64 = sqlx::query_scalar(
        "select count(*) from (
             select from notifications where $1::uuid is null or patient_id = $1 limit $2
         ) counted",
    )
    .bind(patient_id)
    .bind(MAX_COUNTED + 1)
    .fetch_one(db)
    .await?;
    Ok(if counted > MAX_COUNTED {
        Total::AtLeast(MAX_COUNTED)
    } else {
        Total::Exactly(counted)
    })
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
        "select id, patient_id, kind, status, reason, channel, attempts, created_at, finished_at from notifications
         where ($1::uuid is null or patient_id = $1) and ($2::uuid is null or id > $2)
         order by id limit $3",
    )
    .bind(patient_id)
    .bind(after)
    .bind(rows)
    .fetch_all(db)
    .await
}

/// Result of a request to send a notification again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resend {
    /// It is pending again.
    Queued(Notification),
    /// It is pending, or the patient is deleted.
    Impossible,
    /// There is no such notification.
    Unknown,
}

/// Makes a finished notification pending again, under another Message-ID; `attempts` count from 0.
///
/// # Errors
/// Fails if the database fails.
pub(crate) async fn resend(db: &mut PgConnection, id: Uuid) -> sqlx::Result<Resend> {
    let queued = sqlx::query_as(
        "update notifications set status = 'PENDING', reason = null, channel = null, finished_at = null, attempts = 0,
             message_id = gen_random_uuid(), queued_at = now(), next_attempt_at = now()
         from patients
         where id = $1 and status <> 'PENDING' and patients.patient_id = notifications.patient_id and email is not null
         returning id, notifications.patient_id, kind, status, reason, channel, attempts, created_at, finished_at",
    );
    if let Some(notification) = queued.bind(id).fetch_optional(&mut *db).await? {
        return Ok(Resend::Queued(notification));
    }
    let exists = sqlx::query_scalar("select exists (select from notifications where id = $1)");
    Ok(if exists.bind(id).fetch_one(db).await? {
        Resend::Impossible
    } else {
        Resend::Unknown
    })
}
