//! Billing accounts and their table.

use serde::Serialize;
use sqlx::{FromRow, PgExecutor, PgPool};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// The account in which a patient's bills are kept; there is one for each patient.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    #[sqlx(rename = "id")]
    pub account_id: Uuid,
    pub patient_id: Uuid,
    #[sqlx(try_from = "String")]
    pub status: Status,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: OffsetDateTime,
}

/// Whether new bills may be put on an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    Active,
    Closed,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Active => "ACTIVE",
            Status::Closed => "CLOSED",
        }
    }
}

impl TryFrom<String> for Status {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "ACTIVE" => Ok(Status::Active),
            "CLOSED" => Ok(Status::Closed),
            _ => Err(format!(
                "accounts.status holds `{text}`, which is neither ACTIVE nor CLOSED"
            )),
        }
    }
}

/// Whom an account is opened for.
pub struct Holder {
    pub patient_id: Uuid,
    pub name: String,
    pub email: String,
}

/// Opens the patient's account, or answers the one that was opened before, whatever its status.
///
/// For a patient whose account was closed before this request arrived, the account is closed from the start.
///
/// # Errors
/// Those of the database.
pub async fn open(pool: &PgPool, holder: &Holder) -> sqlx::Result<Account> {
    let opened = sqlx::query_as(
        "insert into accounts (id, patient_id, holder_name, holder_email, opened_at) values ($1, $2, $3, $4, now())
         on conflict (patient_id) do update set opened_at = now() where accounts.opened_at is null
         returning id, patient_id, status, opened_at",
    )
    .bind(Uuid::now_v7())
    .bind(holder.patient_id)
    .bind(&holder.name)
    .bind(&holder.email)
    .fetch_optional(pool)
    .await?;
    match opened {
        Some(account) => Ok(account),
        // The row that was in the way is committed, so a statement that begins now sees it; rows are never deleted.
        None => {
            sqlx::query_as("select id, patient_id, status, opened_at from accounts where patient_id = $1")
                .bind(holder.patient_id)
                .fetch_one(pool)
                .await
        }
    }
}

/// Closes the patient's account and forgets who was billed; closing twice changes nothing.
///
/// Answers the account's id, none when the patient never had an account. A request that would open one may still be on
/// its way, so even then a row stays behind that keeps the account closed.
///
/// # Errors
/// Those of the database.
pub async fn close(db: impl PgExecutor<'_>, patient_id: Uuid) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar(
        "insert into accounts (id, patient_id, status, closed_at) values ($1, $2, 'CLOSED', now())
         on conflict (patient_id) do update
             set status = 'CLOSED', closed_at = coalesce(accounts.closed_at, now()), holder_name = null, holder_email = null
         returning case when opened_at is not null then id end",
    )
    .bind(Uuid::now_v7())
    .bind(patient_id)
    .fetch_one(db)
    .await
}

/// Finds one account by its id.
pub async fn find(db: impl PgExecutor<'_>, account_id: Uuid) -> sqlx::Result<Option<Account>> {
    sqlx::query_as("select id, patient_id, status, opened_at from accounts where id = $1 and opened_at is not null")
        .bind(account_id)
        .fetch_optional(db)
        .await
}

/// Lists accounts, oldest first: at most `limit`, those after the account `after`, only the patient's when one is given.
pub async fn list(
    db: impl PgExecutor<'_>,
    patient_id: Option<Uuid>,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Account>> {
    // Ids are UUIDs of version 7, so their order is that of the openings.
    sqlx::query_as(
        "select id, patient_id, status, opened_at from accounts
         where opened_at is not null and ($1::uuid is null or patient_id = $1) and ($2::uuid is null or id > $2)
         order by id limit $3",
    )
    .bind(patient_id)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await
}
