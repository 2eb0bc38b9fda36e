//! The retry of what billing has not answered yet.

use std::{sync::Arc, time::Duration};

use sqlx::{FromRow, PgPool};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Billing, breaker::Caller, note_closed, note_opened};
use crate::{idempotency, patient::BillingState};

/// How often pending intents are looked for.
const ROUND: Duration = Duration::from_secs(1);
/// How long one call may take when nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(FromRow)]
struct Intent {
    patient_id: Uuid,
    wanted: String,
    name: Option<String>,
    email: Option<String>,
}

/// Carries out pending intents until `shutdown`; several processes may, since each attempt is leased to one.
///
/// # Errors
/// None: what fails is tried again.
pub async fn reconcile(pool: PgPool, billing: Arc<Billing>, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut rounds: u32 = 0;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = sleep(ROUND) => {}
        }
        if let Err(error) = round(&pool, &billing).await {
            kit::database::observe(&error);
            tracing::warn!(
                error = kit::database::describe(&error),
                "billing intents could not be read"
            );
        }
        if rounds.is_multiple_of(3600)
            && let Err(error) = idempotency::forget_old(&pool).await
        {
            tracing::warn!(
                error = kit::database::describe(&error),
                "old idempotency keys could not be forgotten"
            );
        }
        rounds = rounds.wrapping_add(1);
    }
}

async fn round(pool: &PgPool, billing: &Billing) -> sqlx::Result<()> {
    // While billing is taken for dead, one intent, due or not, is how it is found to be back.
    let trial = !billing.is_closed();
    for intent in lease(pool, trial).await? {
        if !billing.permits(Caller::Reconciler) {
            return give_back(pool, intent.patient_id).await;
        }
        let id = intent.patient_id;
        let answer = match (intent.wanted.as_str(), &intent.name, &intent.email) {
            ("OPEN", Some(name), Some(email)) => match billing.open(id, name, email, PATIENCE).await {
                Ok(account) => {
                    let state = BillingState {
                        status: account.status,
                        account_id: Some(account.account_id),
                    };
                    note_opened(pool, id, &state).await?;
                    Ok(())
                }
                Err(status) => Err(status),
            },
            _ => match billing.close(id, PATIENCE).await {
                Ok(()) => {
                    note_closed(pool, id).await?;
                    Ok(())
                }
                Err(status) => Err(status),
            },
        };
        match answer {
            Ok(()) => tracing::info!(patient.id = %id, wanted = intent.wanted, "billing was brought up to date"),
            Err(status) if !billing.is_closed() => {
                tracing::debug!(patient.id = %id, code = ?status.code(), "billing will be asked again");
                return Ok(());
            }
            // No time heals a refusal: somebody has to look, and what waits here stays visible as PENDING.
            Err(status) => {
                metrics::counter!("billing_refusals_total", "code" => format!("{:?}", status.code())).increment(1);
                tracing::error!(patient.id = %id, code = ?status.code(), "billing refuses what it is asked for");
            }
        }
    }
    Ok(())
}

/// Takes the intents that are due, or one in any case; each comes again after a pause that doubles up to about a minute.
async fn lease(pool: &PgPool, trial: bool) -> sqlx::Result<Vec<Intent>> {
    sqlx::query_as(
        "with due as (
             select patient_id from billing_intent where status = 'PENDING' and ($1 or next_attempt <= now())
             order by next_attempt limit case when $1 then 1 else 20 end for update skip locked
         ), leased as (
             update billing_intent i set attempts = attempts + 1,
                 next_attempt = now() + interval '1 second' * (power(2, least(attempts, 6)) * (0.75 + random() / 2))
             from due where i.patient_id = due.patient_id
             returning i.patient_id, i.wanted
         )
         select l.patient_id, l.wanted, p.name, p.email from leased l left join patient p on p.id = l.patient_id",
    )
    .bind(trial)
    .fetch_all(pool)
    .await
}

/// An attempt that was not made does not count.
async fn give_back(pool: &PgPool, patient: Uuid) -> sqlx::Result<()> {
    let update = "update billing_intent set attempts = attempts - 1, next_attempt = now()
                  where patient_id = $1 and status = 'PENDING'";
    sqlx::query(update).bind(patient).execute(pool).await.map(drop)
}
