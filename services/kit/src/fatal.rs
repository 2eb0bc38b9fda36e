//! Conditions that require a new process.

use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;

static REASON: OnceLock<String> = OnceLock::new();
static RAISED: OnceLock<CancellationToken> = OnceLock::new();

/// Ends the process with this reason; only the first reason is logged.
pub fn raise(reason: impl Into<String>) {
    let _ = REASON.set(reason.into());
    token().cancel();
}

/// Waits for a call of [`raise`], and returns its reason.
pub async fn raised() -> String {
    token().cancelled().await;
    REASON.get().cloned().unwrap_or_default()
}

fn token() -> &'static CancellationToken {
    RAISED.get_or_init(CancellationToken::new)
}
