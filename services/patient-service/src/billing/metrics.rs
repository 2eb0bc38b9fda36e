//! Metrics of the calls to billing-service.

use std::time::Duration;

use kit::database::Pool;
use tokio::time::sleep;

use super::intent;

/// Interval in which the intents are counted, by every replica.
const INTERVAL: Duration = Duration::from_secs(10);

/// Registers the descriptions of the metrics.
pub fn describe() {
    metrics::describe_gauge!(
        "billing_circuit_breaker_open",
        "1 while the circuit breaker of billing-service is open and requests do not call it"
    );
    metrics::describe_counter!(
        "billing_circuit_breaker_rejected_total",
        "Calls skipped because the billing circuit breaker was open"
    );
    metrics::describe_counter!(
        "billing_rejections_total",
        "Calls of the reconciler that billing-service rejected, by status code"
    );
    metrics::describe_gauge!(
        "billing_intents",
        "Accounts that are to be opened, updated or closed, up to 100000, by state: pending, or rejected by billing-service"
    );
    metrics::gauge!("billing_circuit_breaker_open").set(0.0);
}

/// Counts the intents periodically and without end; while the database is unavailable, the last values stay.
pub(super) async fn measure(pool: &Pool) {
    loop {
        if let Ok(intents) = intent::count(pool).await {
            metrics::gauge!("billing_intents", "state" => "pending").set(intents.pending as f64);
            metrics::gauge!("billing_intents", "state" => "rejected").set(intents.rejected as f64);
        }
        sleep(INTERVAL).await;
    }
}
