//! Intents in the database: the desired state of each patient's account, until billing-service has confirmed it.

use kit::database::Pool;
use sqlx::{FromRow, PgConnection};
use tonic::Code;
use uuid::Uuid;

use super::account::{AccountHolder, AccountState};

/// Maximum number of intents that are counted; a larger backlog is equally alarming, and counting it costs more.
const MAX_COUNTED: i64 = 100_000;

/// The state that an account should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DesiredState {
    Open,
    Closed,
}

impl DesiredState {
    /// Returns the value in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Closed => "CLOSED",
        }
    }
}

/// An intent that was leased for one attempt.
#[derive(FromRow)]
pub(super) struct LeasedIntent {
    pub patient_id: Uuid,
    pub desired_state: String,
    /// Number of attempts, including this one.
    pub attempts: i32,
    /// Id of the account, once it is open.
    pub account_id: Option<String>,
    /// Name, email and version of the patient; `None` after its deletion.
    pub name: Option<String>,
    pub email: Option<String>,
    pub version: Option<i64>,
}

impl LeasedIntent {
    /// Returns the holder that the account must have; `None` if the account must be closed.
    pub fn holder(&self) -> Option<AccountHolder<'_>> {
        if self.desired_state != DesiredState::Open.as_str() {
            return None;
        }
        Some(AccountHolder {
            patient_id: self.patient_id,
            name: self.name.as_deref()?,
            email: self.email.as_deref()?,
            version: self.version?,
        })
    }
}

/// Numbers of pending intents.
#[derive(FromRow)]
pub(super) struct PendingIntents {
    /// Intents that are retried.
    pub pending: i64,
    /// Intents that billing-service rejected.
    pub rejected: i64,
}

/// Stores an intent in the transaction of the patient's change.
///
/// The reconciler handles it after 3 s, when the call that follows the commit has had its chance.
///
/// # Errors
/// Fails if the database fails.
pub async fn insert(transaction: &mut PgConnection, patient: Uuid, desired_state: DesiredState) -> sqlx::Result<()> {
    sqlx::query(
        "insert into billing_intent (patient_id, desired_state, next_attempt) values ($1, $2, now() + interval '3 seconds')
         on conflict (patient_id) do update
         set desired_state = excluded.desired_state, status = 'PENDING', attempts = 0,
             next_attempt = excluded.next_attempt, rejection = null",
    )
    .bind(patient)
    .bind(desired_state.as_str())
    .execute(transaction)
    .await
    .map(drop)
}

/// Stores the intent to update the holder of a living patient's account to this version, in the transaction of the change.
///
/// If name and email are unchanged, only an account that is not confirmed yet is concerned: the change may have corrected what
/// billing-service rejected. Returns true if there is something to call billing-service for.
///
/// # Errors
/// Fails if the database fails.
pub async fn update(
    transaction: &mut PgConnection,
    patient: Uuid,
    version: i64,
    is_holder: bool,
) -> sqlx::Result<bool> {
    let updated = sqlx::query(
        "update billing_intent set status = 'PENDING', version = $2, attempts = 0, rejection = null,
             next_attempt = now() + interval '3 seconds'
         where patient_id = $1 and desired_state = 'OPEN' and (status = 'PENDING' or (status = 'ACTIVE' and $3))",
    )
    .bind(patient)
    .bind(version)
    .bind(is_holder)
    .execute(transaction)
    .await?;
    Ok(updated.rows_affected() > 0)
}

/// Records an open account whose holder is this version of the patient; does nothing if the patient was deleted since.
///
/// If the patient was changed since, the account is known, and the intent stays pending.
pub(super) async fn record_holder(pool: &Pool, holder: AccountHolder<'_>, account: &AccountState) -> sqlx::Result<()> {
    let update = "update billing_intent set account_id = $3, rejection = null,
                      status = case when version <= $4 then $2 else status end
                  where patient_id = $1 and desired_state = 'OPEN'";
    let status = if account.status == "CLOSED" { "CLOSED" } else { "ACTIVE" };
    sqlx::query(update)
        .bind(holder.patient_id)
        .bind(status)
        .bind(&account.account_id)
        .bind(holder.version)
        .execute(pool)
        .await
        .map(drop)
}

/// Deletes the intent of a deleted patient whose account is closed.
pub(super) async fn record_closed(pool: &Pool, patient: Uuid) -> sqlx::Result<()> {
    let delete = "delete from billing_intent where patient_id = $1 and desired_state = 'CLOSED'";
    sqlx::query(delete).bind(patient).execute(pool).await.map(drop)
}

/// Leases up to `limit` intents that are due; with `probe`, the next one whether or not it is due.
///
/// Each is due again after a pause that doubles up to about a minute.
pub(super) async fn lease(pool: &Pool, limit: i64, probe: bool) -> sqlx::Result<Vec<LeasedIntent>> {
    sqlx::query_as(
        "with due as (
             select patient_id from billing_intent where status = 'PENDING' and ($1 or next_attempt <= now())
             order by next_attempt limit $2 for update skip locked
         ), leased as (
             update billing_intent i set attempts = attempts + 1,
                 next_attempt = now() + interval '1 second' * (power(2, least(attempts, 6)) * (0.75 + random() / 2))
             from due where i.patient_id = due.patient_id
             returning i.patient_id, i.desired_state, i.attempts, i.account_id
         )
         select l.*, p.name, p.email, p.version
         from leased l left join patient p on p.id = l.patient_id",
    )
    .bind(probe)
    .bind(if probe { 1 } else { limit })
    .fetch_all(pool)
    .await
}

/// Releases a lease without an attempt, which does not count.
pub(super) async fn release(pool: &Pool, patient: Uuid) -> sqlx::Result<()> {
    let update = "update billing_intent set attempts = attempts - 1, next_attempt = now()
                  where patient_id = $1 and status = 'PENDING'";
    sqlx::query(update).bind(patient).execute(pool).await.map(drop)
}

/// Records a rejection, and postpones the intent for about an hour.
///
/// Does nothing if the patient was changed in the meantime: the attempts then start again, and the rejection concerns the
/// former version.
pub(super) async fn record_rejection(pool: &Pool, intent: &LeasedIntent, code: Code) -> sqlx::Result<()> {
    let update =
        "update billing_intent set rejection = $3, next_attempt = now() + interval '1 hour' * (0.75 + random() / 2)
         where patient_id = $1 and attempts = $2 and status = 'PENDING'";
    sqlx::query(update)
        .bind(intent.patient_id)
        .bind(intent.attempts)
        .bind(format!("{code:?}"))
        .execute(pool)
        .await
        .map(drop)
}

/// Counts pending intents, up to [`MAX_COUNTED`].
pub(super) async fn count(pool: &Pool) -> sqlx::Result<PendingIntents> {
    sqlx::query_as(
        "select count(*) filter (where rejection is null) as pending, count(*) filter (where rejection is not null) as rejected
         from (select rejection from billing_intent where status = 'PENDING' limit $1) counted",
    )
    .bind(MAX_COUNTED)
    .fetch_one(pool)
    .await
}
