//! Periodic maintenance: rotates the signing keys and deletes expired rows.

use anyhow::Context;
use time::OffsetDateTime;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::signing_key::RELOAD_INTERVAL;
use crate::state::AppState;
use crate::{oidc, password_reset, refresh_token, revocation, throttle};

/// Timeout of one run; a database that disappeared without closing its connections must not block maintenance.
const TIMEOUT: std::time::Duration = std::time::Duration::from_mins(1);

/// Runs until the shutdown. A failure is logged and retried; in the meantime the keys in memory are used.
///
/// # Errors
/// Never; the signature is that of a background task.
pub async fn run(state: AppState, shutdown: CancellationToken) -> anyhow::Result<()> {
    while shutdown.run_until_cancelled(sleep(RELOAD_INTERVAL)).await.is_some() {
        let result = timeout(TIMEOUT, run_once(&state, OffsetDateTime::now_utc())).await;
        if let Err(error) = result.context("database timeout").flatten() {
            let error = format!("{error:#}");
            tracing::warn!(
                error,
                retry.seconds = RELOAD_INTERVAL.as_secs(),
                "maintenance failed; retrying"
            );
        }
    }
    Ok(())
}

async fn run_once(state: &AppState, now: OffsetDateTime) -> anyhow::Result<()> {
    state.keyring.rotate_keys(now).await?;
    refresh_token::delete_expired(&state.pool, now).await?;
    revocation::delete_expired(&state.pool, now).await?;
    password_reset::delete_expired(&state.pool, now).await?;
    oidc::delete_expired(&state.pool, now).await?;
    throttle::delete_expired(&state.pool, now).await?;
    Ok(())
}
