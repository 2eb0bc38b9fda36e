//! Age of the oldest pending notification, as a metric of every replica.

use std::time::Duration;

use kit::database::{Pool, with_timeout};
use tokio::time::sleep;

/// Interval of the measurements.
const INTERVAL: Duration = Duration::from_secs(5);

/// Measures until it is dropped; while the database is unreachable, the metric keeps its last value.
pub(crate) async fn measure(pool: &Pool) {
    loop {
        let age = sqlx::query_scalar(
            "select coalesce(extract(epoch from greatest(now() - min(queued_at), interval '0')), 0)::double precision
             from notifications where status = 'PENDING'",
        );
        if let Ok(age) = with_timeout(age.fetch_one(pool)).await {
            let age: f64 = age;
            metrics::gauge!("notification_oldest_pending_seconds").set(age);
        }
        sleep(INTERVAL).await;
    }
}
