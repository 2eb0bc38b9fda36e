//! Periodic maintenance: deletes expired idempotency keys and keys of cursors.

use std::time::Duration;

use kit::database::Pool;
use kit::database::{self, with_timeout};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{cursor, idempotency};

const INTERVAL: Duration = Duration::from_hours(1);

/// Runs until the shutdown. A failure is logged and retried.
///
/// # Errors
/// Never; the signature is that of a background task.
pub async fn run(pool: Pool, shutdown: CancellationToken) -> anyhow::Result<()> {
    loop {
        if let Err(error) = with_timeout(idempotency::delete_expired(&pool)).await {
            tracing::warn!(
                error = database::describe(&error),
                "cannot delete expired idempotency keys"
            );
        }
        if let Err(error) = with_timeout(cursor::delete_expired(&pool)).await {
            tracing::warn!(
                error = database::describe(&error),
                "cannot delete expired keys of cursors"
            );
        }
        if shutdown.run_until_cancelled(sleep(INTERVAL)).await.is_none() {
            return Ok(());
        }
    }
}
