//! Billing accounts in the database.

use kit::{database::Pool, pagination::Total};
use serde::Serialize;
use sqlx::{FromRow, PgExecutor};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Maximum number of accounts that are counted: an exact count of a million takes longer than the page.
const MAX_COUNTED: i64 = 10_000;

/// The billing account of a patient; each patient has one.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names in the API")]
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

/// Status of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// The account accepts bills.
    Active,
    /// The account is closed permanently.
    Closed,
}

impl Status {
    /// Returns the value in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Closed => "CLOSED",
        }
    }
}

/// The column `accounts.status` contains a value that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("accounts.status contains the unknown value `{0}`")]
pub struct UnknownStatus(String);

impl TryFrom<String> for Status {
    type Error = UnknownStatus;

    fn try_from(value: String) -> Result<Self, UnknownStatus> {
        let known = [Self::Active, Self::Closed]
            .into_iter()
            .find(|status| status.as_str() == value);
        known.ok_or(UnknownStatus(value))
    }
}

/// The patient for whom an account is opened.
pub struct Holder {
    pub patient_id: Uuid,
    pub name: String,
    pub email: String,
    /// The patient's version with this name and email; 0 from a caller that does not send it.
    pub version: i64,
}

/// Opens the patient's account, or returns the existing one, whatever its status, with a holder that is at least as new.
///
/// If the account was closed before this request arrived, it stays closed, and without a holder.
///
/// # Errors
/// Fails if the database fails.
pub async fn open(pool: &Pool, holder: &Holder) -> sqlx::Result<Account> {
    let opened = sqlx::query_as(
        "insert into accounts (id, patient_id, holder_name, holder_email, holder_version, opened_at)
         values ($1, $2, $3, $4, $5, now())
         on conflict (patient_id) do update set opened_at = coalesce(accounts.opened_at, now()),
             holder_name = case when accounts.status = 'ACTIVE' then excluded.holder_name end,
             holder_email = case when accounts.status = 'ACTIVE' then excluded.holder_email end,
             holder_version = excluded.holder_version
         where accounts.opened_at is null
            or (accounts.status = 'ACTIVE' and accounts.holder_version < excluded.holder_version)
         returning id, patient_id, status, opened_at",
    )
    .bind(Uuid::now_v7())
    .bind(holder.patient_id)
    .bind(&holder.name)
    .bind(&holder.email)
    .bind(holder.version)
    .fetch_optional(pool)
    .await?;
    match opened {
        Some(account) => Ok(account),
        // The conflicting row is committed, so a statement that starts now reads it; rows are never deleted.
        None => of_patient(pool, holder.patient_id)
            .await?
            .ok_or(sqlx::Error::RowNotFound),
    }
}

/// Updates the holder of the patient's account, unless the stored one is newer; a closed account stays without a holder.
///
/// Returns the account; `None` if the patient has none.
///
/// # Errors
/// Fails if the database fails.
pub async fn update_holder(pool: &Pool, holder: &Holder) -> sqlx::Result<Option<Account>> {
    sqlx::query(
        "update accounts set holder_name = $2, holder_email = $3, holder_version = $4
         where patient_id = $1 and status = 'ACTIVE' and holder_version < $4",
    )
    .bind(holder.patient_id)
    .bind(&holder.name)
    .bind(&holder.email)
    .bind(holder.version)
    .execute(pool)
    .await?;
    of_patient(pool, holder.patient_id).await
}

async fn of_patient(db: impl PgExecutor<'_>, patient_id: Uuid) -> sqlx::Result<Option<Account>> {
    let select =
        "select id, patient_id, status, opened_at from accounts where patient_id = $1 and opened_at is not null";
    sqlx::query_as(select).bind(patient_id).fetch_optional(db).await
}

/// Closes the patient's account, and deletes its holder; does nothing for a closed account.
///
/// Returns the account's id; `None` if the patient never had an account. A request to open one may still arrive, so in that
/// case a row is inserted that keeps the account closed.
///
/// # Errors
/// Fails if the database fails.
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

/// Returns an account.
///
/// # Errors
/// Fails if the database fails.
pub async fn find(db: impl PgExecutor<'_>, account_id: Uuid) -> sqlx::Result<Option<Account>> {
    sqlx::query_as("select id, patient_id, status, opened_at from accounts where id = $1 and opened_at is not null")
        .bind(account_id)
        .fetch_optional(db)
        .await
}

/// Counts the accounts, up to [`MAX_COUNTED`]; that of one patient if `patient_id` is `Some`.
///
/// # Errors
/// Fails if the database fails.
pub async fn count(db: impl PgExecutor<'_>, patient_id: Option<Uuid>) -> sqlx::Result<Total> {
    let counted: i64 = sqlx::query_scalar(
        "select count(*) from (
             select from accounts where opened_at is not null and ($1::uuid is null or patient_id = $1) limit $2
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

/// Lists accounts, oldest first: at most `rows`, starting behind the account `after`; that of one patient if `patient_id` is
/// `Some`.
///
/// # Errors
/// Fails if the database fails.
pub async fn list(
    db: impl PgExecutor<'_>,
    patient_id: Option<Uuid>,
    after: Option<Uuid>,
    rows: i64,
) -> sqlx::Result<Vec<Account>> {
    // Ids are UUIDs of version 7, so their order is that of the insertion.
    sqlx::query_as(
        "select id, patient_id, status, opened_at from accounts
         where opened_at is not null and ($1::uuid is null or patient_id = $1) and ($2::uuid is null or id > $2)
         order by id limit $3",
    )
    .bind(patient_id)
    .bind(after)
    .bind(rows)
    .fetch_all(db)
    .await
}
