//! What is done now and then: keys turn, old rows go.

use std::time::Duration;

use anyhow::Context;
use time::OffsetDateTime;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::{refresh_token, throttle};

/// How often that is.
pub const PAUSE: Duration = Duration::from_secs(30);

/// How long it may take: a database that vanished without a word must not end it for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs until the shutdown. A failure is logged and tried again: what is in memory serves meanwhile.
pub async fn run(app: App, shutdown: CancellationToken) -> anyhow::Result<()> {
    while shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_some() {
        let done = timeout(PATIENCE, once(&app, OffsetDateTime::now_utc())).await;
        if let Err(error) = done.context("the database is silent").flatten() {
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
