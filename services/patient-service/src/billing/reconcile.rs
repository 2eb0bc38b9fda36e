//! The retry of what billing has not answered yet.

use std::{sync::Arc, time::Duration};

use sqlx::{FromRow, PgPool};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Billing, note_closed, note_opened};
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
    for intent in lease(pool).await? {
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
            Err(status) => tracing::debug!(patient.id = %id, code = ?status.code(), "billing will be asked again"),
        }
    }
    Ok(())
}

/// Takes the intents that are due; each comes again after a pause that doubles up to about a minute.
async fn lease(pool: &PgPool) -> sqlx::Result<Vec<Intent>> {
    sqlx::query_as(
        "with due as (
             select patient_id from billing_intent where status = 'PENDING' and next_attempt <= now()
             order by next_attempt limit 20 for update skip locked
         ), leased as (
             update billing_intent i set attempts = attempts + 1,
                 next_attempt = now() + interval '1 second' * (power(2, least(attempts, 6)) * (0.75 + random() / 2))
             from due where i.patient_id = due.patient_id
             returning i.patient_id, i.wanted
         )
         select l.patient_id, l.wanted, p.name, p.email from leased l left join patient p on p.id = l.patient_id",
    )
    .fetch_all(pool)
    .await
}
