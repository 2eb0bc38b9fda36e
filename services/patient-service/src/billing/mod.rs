//! The billing accounts of patients: intents, and the calls to billing-service that execute them.
//!
//! A change of a patient stores an intent in its own transaction. After the commit the request tries the call once; the
//! reconciler retries until billing-service has responded.

mod account;
mod circuit_breaker;
mod client;
pub(crate) mod intent;
mod metrics;
mod reconciler;

use std::time::Duration;

use kit::database::Pool;
use tonic::{Code, Status};
use uuid::Uuid;

pub use account::{AccountHolder, AccountState};
use circuit_breaker::CallSource;
pub use client::BillingClient;
pub use metrics::describe as describe_metrics;
pub use reconciler::run as reconcile;

/// Time for which a request waits for billing-service before it leaves the call to the reconciler.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(800);

/// Sets the holder of the account while the client waits: opens the account, or updates the one that `is_open`.
///
/// Returns `None` if billing-service does not respond in time or its circuit breaker is open: the reconciler retries.
pub async fn try_hold(
    client: &BillingClient,
    pool: &Pool,
    holder: AccountHolder<'_>,
    is_open: bool,
) -> Option<AccountState> {
    if !client.allows(CallSource::Request) {
        return None;
    }
    let account = match hold(client, holder, is_open, REQUEST_TIMEOUT).await {
        Ok(account) => account,
        Err(status) => {
            tracing::warn!(patient.id = %holder.patient_id, code = ?status.code(), "the account will be written later");
            return None;
        }
    };
    intent::record_holder(pool, holder, &account)
        .await
        .inspect_err(|error| tracing::warn!(error = %error, "cannot record the account; the reconciler will"))
        .ok()?;
    Some(account)
}

/// Opens the account, or updates its holder; an account that billing-service lost is opened again.
async fn hold(
    client: &BillingClient,
    holder: AccountHolder<'_>,
    is_open: bool,
    limit: Duration,
) -> Result<AccountState, Status> {
    if is_open {
        let updated = client.update(holder, limit).await;
        if !matches!(&updated, Err(status) if status.code() == Code::NotFound) {
            return updated;
        }
    }
    client.open(holder, limit).await
}

/// Closes the account while the client waits; the reconciler retries if this fails.
pub async fn try_close(client: &BillingClient, pool: &Pool, patient: Uuid) {
    if !client.allows(CallSource::Request) {
        return;
    }
    match client.close(patient, REQUEST_TIMEOUT).await {
        Ok(()) => {
            if let Err(error) = intent::record_closed(pool, patient).await {
                tracing::warn!(error = %error, "cannot record the closed account; the reconciler will");
            }
        }
        Err(status) => {
            tracing::warn!(patient.id = %patient, code = ?status.code(), "the account will be closed later");
        }
    }
}
