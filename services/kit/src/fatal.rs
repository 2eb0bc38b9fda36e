//! Conditions that only a new process can mend.

use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;

static REASON: OnceLock<String> = OnceLock::new();
static RAISED: OnceLock<CancellationToken> = OnceLock::new();

/// Asks the process to end with this reason; the first reason is the one that is told.
pub fn raise(reason: impl Into<String>) {
    let _ = REASON.set(reason.into());
    token().cancel();
}

/// Waits until somebody calls [`raise`], and gives the reason.
pub async fn raised() -> String {
    token().cancelled().await;
    REASON.get().cloned().unwrap_or_default()
}

fn token() -> &'static CancellationToken {
    RAISED.get_or_init(CancellationToken::new)
}
