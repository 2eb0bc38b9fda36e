//! The reconciler: retries intents until billing-service has responded.

use std::{sync::Arc, time::Duration};

use futures::{TryStreamExt, stream};
use kit::database::Pool;
use kit::database::{self, with_timeout};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::{
    circuit_breaker::CallSource,
    client::{BillingClient, is_unavailable},
    hold,
    intent::{self, LeasedIntent},
    metrics as billing_metrics,
};

/// Pause between two rounds, if the last one found no more due intents.
const INTERVAL: Duration = Duration::from_secs(1);
/// Number of intents that are leased at once.
const BATCH_SIZE: u8 = 50;
/// Number of concurrent calls: after an outage of billing-service thousands of intents may be due.
const CONCURRENCY: usize = 8;
/// Timeout of one call; longer than that of a request, because no client waits.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Executes pending intents until the shutdown; several replicas may do so, because each attempt is leased to one.
///
/// # Errors
/// Never: a failure is retried; the signature is that of a background task.
pub async fn run(pool: Pool, client: Arc<BillingClient>, shutdown: CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        () = run_rounds(&pool, &client, &shutdown) => {}
        () = billing_metrics::measure(&pool) => {}
    }
    Ok(())
}

async fn run_rounds(pool: &Pool, client: &BillingClient, shutdown: &CancellationToken) {
    let mut pause = INTERVAL;
    while shutdown.run_until_cancelled(sleep(pause)).await.is_some() {
        pause = match run_round(pool, client).await {
            Ok(true) => Duration::ZERO,
            Ok(false) => INTERVAL,
            Err(error) => {
                database::record_error(&error);
                tracing::warn!(
                    error = database::describe(&error),
                    "cannot read or update billing intents"
                );
                INTERVAL
            }
        };
    }
}

/// Executes the due intents, up to a batch; returns true if more may be due.
async fn run_round(pool: &Pool, client: &BillingClient) -> sqlx::Result<bool> {
    // While the circuit breaker is open, one intent, due or not, is the probe.
    let probe = !client.is_closed();
    let leased = with_timeout(intent::lease(pool, i64::from(BATCH_SIZE), probe)).await?;
    let full = leased.len() == usize::from(BATCH_SIZE);
    stream::iter(leased.into_iter().map(Ok::<_, sqlx::Error>))
        .try_for_each_concurrent(CONCURRENCY, |intent| execute(pool, client, intent))
        .await?;
    Ok((full || probe) && client.is_closed())
}

async fn execute(pool: &Pool, client: &BillingClient, intent: LeasedIntent) -> sqlx::Result<()> {
    let id = intent.patient_id;
    if !client.allows(CallSource::Reconciler) {
        return with_timeout(intent::release(pool, id)).await;
    }
    let holder = intent.holder();
    let result = match holder {
        Some(holder) => hold(client, holder, intent.account_id.is_some(), CALL_TIMEOUT)
            .await
            .map(Some),
        None => client.close(id, CALL_TIMEOUT).await.map(|()| None),
    };
    match result {
        Ok(account) => {
            match holder.zip(account) {
                Some((holder, account)) => with_timeout(intent::record_holder(pool, holder, &account)).await?,
                None => with_timeout(intent::record_closed(pool, id)).await?,
            }
            tracing::info!(patient.id = %id, desired_state = intent.desired_state, "reconciled the billing account");
        }
        Err(status) if is_unavailable(status.code()) => {
            tracing::debug!(patient.id = %id, code = ?status.code(), "billing-service is unavailable; retrying");
        }
        Err(status) => {
            let code = status.code();
            metrics::counter!("billing_rejections_total", "code" => format!("{code:?}")).increment(1);
            tracing::error!(patient.id = %id, code = ?code, "billing-service rejected an intent");
            if is_permanent(code) {
                with_timeout(intent::record_rejection(pool, &intent, code)).await?;
            }
        }
    }
    Ok(())
}

/// Returns true if the rejection concerns this one request, so that a retry does not help until the patient is changed.
///
/// Other codes, such as for a wrong secret of the link, concern all intents at once, and are retried as often as timeouts.
fn is_permanent(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange
    )
}
