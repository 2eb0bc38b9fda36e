//! Size and age of the outbox, as metrics of every replica, whether it relays or not.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::{database::Pool, telemetry::LogThrottle};

/// Interval of the measurements.
const INTERVAL: Duration = Duration::from_secs(5);
/// Maximum count: a larger backlog is as alarming, and its exact size is expensive.
const MAX_COUNT: i64 = 100_000;

/// Measures until it is dropped; while the database is unreachable, the metrics keep their last values.
pub(super) async fn measure(pool: &Pool) {
    metrics::describe_gauge!("outbox_backlog", "Events not published yet, counted up to 100000");
    metrics::describe_gauge!(
        "outbox_oldest_age_seconds",
        metrics::Unit::Seconds,
        "Age of the oldest event that is not published yet"
    );
    let mut log = LogThrottle::new(Duration::from_mins(1));
    loop {
        if let Ok((rows, age)) = read(pool).await {
            metrics::gauge!("outbox_backlog").set(rows as f64);
            metrics::gauge!("outbox_oldest_age_seconds").set(age);
            if log.should_log("backlog", Instant::now()).is_some() {
                // A metric filter of the deployed log group reads these fields by their names.
                tracing::info!(
                    outbox_oldest_age_seconds = age,
                    outbox_backlog = rows,
                    "measured the outbox"
                );
            }
        }
        sleep(INTERVAL).await;
    }
}

/// Returns the number of rows, and the age of the first in seconds.
async fn read(pool: &Pool) -> sqlx::Result<(i64, f64)> {
    sqlx::query_as(
        "select (select count(*) from (select from outbox limit $1) counted),
                coalesce((select extract(epoch from greatest(now() - created_at, interval '0'))
                          from outbox order by id limit 1), 0)::double precision",
    )
    .bind(MAX_COUNT)
    .fetch_one(pool)
    .await
}
