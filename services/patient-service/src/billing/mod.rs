//! The accounts that billing-service keeps for our patients.

mod breaker;
mod client;
mod pending;
mod reconcile;

use std::time::Duration;

use sqlx::PgPool;
use uuid::Uuid;

use breaker::Caller;
pub use client::{Billing, BillingArgs};
pub use reconcile::reconcile;

use crate::patient::{BillingState, Patient};

/// Says what the metrics of this room mean.
pub fn describe_metrics() {
    metrics::describe_gauge!(
        "billing_breaker_open",
        "1 while billing-service is taken for dead and requests do not call it"
    );
    metrics::describe_counter!(
        "billing_calls_spared_total",
        "Calls that requests did not make, since billing-service was taken for dead"
    );
    metrics::describe_counter!(
        "billing_refusals_total",
        "Calls of the reconciler that billing-service answered with a refusal, by status code"
    );
    metrics::describe_gauge!(
        "billing_intents",
        "Accounts that wait to be opened or closed, up to 100000: due (state=waiting), or refused by billing-service (state=refused)"
    );
    metrics::gauge!("billing_breaker_open").set(0.0);
}

/// How long a request waits for billing before the reconciler takes over.
const INLINE: Duration = Duration::from_millis(800);

impl Billing {
    /// Opens the account while the client waits; gives nothing when billing does not answer in time, or is known not to.
    pub async fn open_now(&self, pool: &PgPool, patient: &Patient) -> Option<BillingState> {
        if !self.permits(Caller::Request) {
            return None;
        }
        let account = match self.open(patient.id, &patient.name, &patient.email, INLINE).await {
            Ok(account) => account,
            Err(status) => {
                tracing::warn!(patient.id = %patient.id, code = ?status.code(), "the account will be opened later");
                return None;
            }
        };
        let state = BillingState {
            status: account.status,
            account_id: Some(account.account_id),
        };
        note_opened(pool, patient.id, &state)
            .await
            .inspect_err(|error| tracing::warn!(error = %error, "the account could not be noted yet"))
            .ok()?;
        Some(state)
    }

    /// Closes the account while the client waits; the reconciler does it when this fails.
    pub async fn close_now(&self, pool: &PgPool, patient: Uuid) {
        if !self.permits(Caller::Request) {
            return;
        }
        match self.close(patient, INLINE).await {
            Ok(()) => {
                if let Err(error) = note_closed(pool, patient).await {
                    tracing::warn!(error = %error, "the closed account could not be noted yet");
                }
            }
            Err(status) => {
                tracing::warn!(patient.id = %patient, code = ?status.code(), "the account will be closed later");
            }
        }
    }
}

/// Notes what billing answered, unless the patient was deleted meanwhile.
async fn note_opened(pool: &PgPool, patient: Uuid, state: &BillingState) -> sqlx::Result<()> {
    let update = "update billing_intent set status = $2, account_id = $3, refused = null
                  where patient_id = $1 and wanted = 'OPEN'";
    let status = if state.status == "CLOSED" { "CLOSED" } else { "ACTIVE" };
    sqlx::query(update)
        .bind(patient)
        .bind(status)
        .bind(&state.account_id)
        .execute(pool)
        .await
        .map(drop)
}

/// Forgets the intent of a patient who is gone, now that the account is closed.
async fn note_closed(pool: &PgPool, patient: Uuid) -> sqlx::Result<()> {
    let delete = "delete from billing_intent where patient_id = $1 and wanted = 'CLOSED'";
    sqlx::query(delete).bind(patient).execute(pool).await.map(drop)
}
