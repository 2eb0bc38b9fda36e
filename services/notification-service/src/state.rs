//! State shared by the handlers.

use std::sync::Arc;

use axum::extract::FromRef;
use kit::{Verifier, database::Pool};
use tokio::sync::Notify;

/// State shared by the handlers; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The database, and the verification of tokens.
    pub kit: kit::AppState,
    /// Notified after a notification was queued.
    pub queued: Arc<Notify>,
}

impl FromRef<AppState> for Pool {
    fn from_ref(state: &AppState) -> Self {
        state.kit.pool.clone()
    }
}

impl FromRef<AppState> for Verifier {
    fn from_ref(state: &AppState) -> Self {
        state.kit.verifier.clone()
    }
}
