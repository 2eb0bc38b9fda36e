//! What is done now and then: keys turn, old rows go.

use std::time::Duration;

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::{refresh_token, throttle};

/// How often that is.
pub const PAUSE: Duration = Duration::from_secs(30);

/// Runs until the shutdown. A failure is logged and tried again: what is in memory serves meanwhile.
pub async fn run(app: App, shutdown: CancellationToken) -> anyhow::Result<()> {
    while shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_some() {
        if let Err(error) = once(&app, OffsetDateTime::now_utc()).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "the upkeep failed; it is tried again in {} s",
                PAUSE.as_secs()
            );
        }
    }
    Ok(())
}

async fn once(app: &App, now: OffsetDateTime) -> anyhow::Result<()> {
    app.keyring.turn(now).await?;
    refresh_token::prune(&app.pool, now).await?;
    throttle::prune(&app.pool, now).await?;
    Ok(())
}
