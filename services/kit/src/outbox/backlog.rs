//! How much waits in the outbox, and for how long: told by every replica, whether it relays or not.

use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::time::sleep;

use crate::telemetry::Minutely;

/// How often the table is looked at.
const INTERVAL: Duration = Duration::from_secs(5);
/// Rows beyond this are not counted: a backlog of a million is as alarming, and cheaper to see.
const MOST: i64 = 100_000;

/// Measures for ever; a database that is away leaves the last values standing.
pub(super) async fn measure(pool: &PgPool) {
    metrics::describe_gauge!(
        "outbox_backlog",
        "Events that wait to be published, counted up to 100000"
    );
    metrics::describe_gauge!(
        "outbox_oldest_age_seconds",
        metrics::Unit::Seconds,
        "How long the oldest event has waited to be published"
    );
    let mut minutely = Minutely::default();
    loop {
        if let Ok((rows, age)) = look(pool).await {
            metrics::gauge!("outbox_backlog").set(rows as f64);
            metrics::gauge!("outbox_oldest_age_seconds").set(age);
            if minutely.due(Instant::now()) {
                // a metric filter of the deployed log group reads these fields by their names
                tracing::info!(
                    outbox_oldest_age_seconds = age,
                    outbox_backlog = rows,
                    "the outbox was measured"
                );
            }
        }
        sleep(INTERVAL).await;
    }
}

/// Rows, and the age of the first in seconds.
async fn look(pool: &PgPool) -> sqlx::Result<(i64, f64)> {
    sqlx::query_as(
        "select (select count(*) from (select from outbox limit $1) counted),
                coalesce((select extract(epoch from greatest(now() - created_at, interval '0'))
                          from outbox order by id limit 1), 0)::double precision",
    )
    .bind(MOST)
    .fetch_one(pool)
    .await
}
