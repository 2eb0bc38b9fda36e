//! The retry of what billing has not answered yet.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{TryStreamExt, stream};
use kit::database::{self, with_timeout};
use sqlx::{FromRow, PgPool};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use uuid::Uuid;

use super::{Billing, breaker::Caller, client::is_silence, note_closed, note_opened, pending};
use crate::{idempotency, patient::BillingState};

/// How often idempotency keys that are over are forgotten.
const FORGET: Duration = Duration::from_secs(3600);
/// How often pending intents are looked for when no more of them are due.
const ROUND: Duration = Duration::from_secs(1);
/// Intents that are leased at once.
const BATCH: usize = 50;
/// Calls that are under way at once: after an outage of billing thousands may wait.
const AT_ONCE: usize = 8;
/// How long one call may take when nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(FromRow)]
struct Intent {
    patient_id: Uuid,
    wanted: String,
    /// This one included.
    attempts: i32,
    name: Option<String>,
    email: Option<String>,
}

/// Carries out pending intents until `shutdown`; several processes may, since each attempt is leased to one.
///
/// # Errors
/// None: what fails is tried again.
pub async fn reconcile(pool: PgPool, billing: Arc<Billing>, shutdown: CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        () = rounds(&pool, &billing, &shutdown) => {}
        () = pending::measure(&pool) => {}
    }
    Ok(())
}

async fn rounds(pool: &PgPool, billing: &Billing, shutdown: &CancellationToken) {
    let (mut pause, mut forgotten) = (ROUND, None::<Instant>);
    while shutdown.run_until_cancelled(sleep(pause)).await.is_some() {
        pause = match round(pool, billing).await {
            Ok(true) => Duration::ZERO,
            Ok(false) => ROUND,
            Err(error) => {
                database::record_error(&error);
                tracing::warn!(error = database::describe(&error), "billing intents could not be read");
                ROUND
            }
        };
        if forgotten.is_none_or(|at| at.elapsed() >= FORGET) {
            forgotten = Some(Instant::now());
            if let Err(error) = with_timeout(idempotency::forget_old(pool)).await {
                tracing::warn!(
                    error = database::describe(&error),
                    "old idempotency keys could not be forgotten"
                );
            }
        }
    }
}

/// Carries out what is due, up to a batch; answers whether more may be due already.
async fn round(pool: &PgPool, billing: &Billing) -> sqlx::Result<bool> {
    // While billing is taken for dead, one intent, due or not, is how it is found to be back.
    let trial = !billing.is_closed();
    let leased = with_timeout(lease(pool, trial)).await?;
    let full = leased.len() == BATCH;
    stream::iter(leased.into_iter().map(Ok::<_, sqlx::Error>))
        .try_for_each_concurrent(AT_ONCE, |intent| carry_out(pool, billing, intent))
        .await?;
    Ok((full || trial) && billing.is_closed())
}

async fn carry_out(pool: &PgPool, billing: &Billing, intent: Intent) -> sqlx::Result<()> {
    let id = intent.patient_id;
    if !billing.permits(Caller::Reconciler) {
        return with_timeout(give_back(pool, id)).await;
    }
    let answer = match (intent.wanted.as_str(), &intent.name, &intent.email) {
        ("OPEN", Some(name), Some(email)) => match billing.open(id, name, email, PATIENCE).await {
            Ok(account) => {
                let state = BillingState {
                    status: account.status,
                    account_id: Some(account.account_id),
                };
                with_timeout(note_opened(pool, id, &state)).await?;
                Ok(())
            }
            Err(status) => Err(status.code()),
        },
        _ => match billing.close(id, PATIENCE).await {
            Ok(()) => {
                with_timeout(note_closed(pool, id)).await?;
                Ok(())
            }
            Err(status) => Err(status.code()),
        },
    };
    match answer {
        Ok(()) => tracing::info!(patient.id = %id, wanted = intent.wanted, "billing was brought up to date"),
        Err(code) if is_silence(code) => {
            tracing::debug!(patient.id = %id, code = ?code, "billing will be asked again");
        }
        Err(code) => {
            metrics::counter!("billing_refusals_total", "code" => format!("{code:?}")).increment(1);
            tracing::error!(patient.id = %id, code = ?code, "billing refuses what it is asked for");
            if is_final(code) {
                with_timeout(set_aside(pool, &intent, code)).await?;
            }
        }
    }
    Ok(())
}

/// Whether the refusal is about this very request, so that time does not heal it: somebody has to look.
///
/// Others, such as a wrong secret of the link, end for all intents at once, and are tried as often as a silence.
fn is_final(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange
    )
}

/// Takes the intents that are due, or one in any case; each comes again after a pause that doubles up to about a minute.
async fn lease(pool: &PgPool, trial: bool) -> sqlx::Result<Vec<Intent>> {
    sqlx::query_as(
        "with due as (
             select patient_id from billing_intent where status = 'PENDING' and ($1 or next_attempt <= now())
             order by next_attempt limit $2 for update skip locked
         ), leased as (
             update billing_intent i set attempts = attempts + 1,
                 next_attempt = now() + interval '1 second' * (power(2, least(attempts, 6)) * (0.75 + random() / 2))
             from due where i.patient_id = due.patient_id
             returning i.patient_id, i.wanted, i.attempts
         )
         select l.patient_id, l.wanted, l.attempts, p.name, p.email from leased l left join patient p on p.id = l.patient_id",
    )
    .bind(trial)
    .bind(if trial { 1 } else { BATCH as i64 })
    .fetch_all(pool)
    .await
}

/// An attempt that was not made does not count.
async fn give_back(pool: &PgPool, patient: Uuid) -> sqlx::Result<()> {
    let update = "update billing_intent set attempts = attempts - 1, next_attempt = now()
                  where patient_id = $1 and status = 'PENDING'";
    sqlx::query(update).bind(patient).execute(pool).await.map(drop)
}

/// Keeps what was refused out of the way for about an hour: it stays visible, and a change of the patient asks again.
///
/// A change that came meanwhile began to count anew, and is not what was refused.
async fn set_aside(pool: &PgPool, intent: &Intent, code: Code) -> sqlx::Result<()> {
    let update =
        "update billing_intent set refused = $3, next_attempt = now() + interval '1 hour' * (0.75 + random() / 2)
                  where patient_id = $1 and attempts = $2 and status = 'PENDING'";
    sqlx::query(update)
        .bind(intent.patient_id)
        .bind(intent.attempts)
        .bind(format!("{code:?}"))
        .execute(pool)
        .await
        .map(drop)
}
