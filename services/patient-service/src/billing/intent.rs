//! Intents in the database: the desired state of each patient's account, until billing-service has confirmed it.

use kit::database::Pool;
use sqlx::{FromRow, PgConnection};
use tonic::Code;
use uuid::Uuid;

use super::account::AccountState;

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
    /// Name and email of the patient; `None` after its deletion.
    pub name: Option<String>,
    pub email: Option<String>,
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

/// Makes a pending intent due now: a change of the patient may have corrected what billing-service rejected.
///
/// # Errors
/// Fails if the database fails.
pub async fn retry_now(transaction: &mut PgConnection, patient: Uuid) -> sqlx::Result<()> {
    let update = "update billing_intent set next_attempt = now(), attempts = 0, rejection = null
                  where patient_id = $1 and status = 'PENDING'";
    sqlx::query(update).bind(patient).execute(transaction).await.map(drop)
}

/// Records an open account; does nothing if the patient was deleted in the meantime.
pub(super) async fn record_opened(pool: &Pool, patient: Uuid, account: &AccountState) -> sqlx::Result<()> {
    let update = "update billing_intent set status = $2, account_id = $3, rejection = null
                  where patient_id = $1 and desired_state = 'OPEN'";
    let status = if account.status == "CLOSED" { "CLOSED" } else { "ACTIVE" };
    sqlx::query(update)
        .bind(patient)
        .bind(status)
        .bind(&account.account_id)
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
             returning i.patient_id, i.desired_state, i.attempts
         )
         select l.patient_id, l.desired_state, l.attempts, p.name, p.email
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
