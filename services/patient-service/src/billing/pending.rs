//! How many accounts wait, told by every replica.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::sleep;

/// How often the table is looked at.
const INTERVAL: Duration = Duration::from_secs(10);
/// Rows beyond this are not counted: a backlog of a million is as alarming, and cheaper to see.
const MOST: i64 = 100_000;

/// Measures for ever; a database that is away leaves the last values standing.
pub(super) async fn measure(pool: &PgPool) {
    loop {
        if let Ok((waiting, refused)) = look(pool).await {
            metrics::gauge!("billing_intents", "state" => "waiting").set(waiting as f64);
            metrics::gauge!("billing_intents", "state" => "refused").set(refused as f64);
        }
        sleep(INTERVAL).await;
    }
}

/// Intents that wait, and of these the ones that billing refused.
async fn look(pool: &PgPool) -> sqlx::Result<(i64, i64)> {
    sqlx::query_as(
        "select count(*) filter (where refused is null), count(*) filter (where refused is not null)
         from (select refused from billing_intent where status = 'PENDING' limit $1) counted",
    )
    .bind(MOST)
    .fetch_one(pool)
    .await
}
