//! State shared by the handlers.

use axum::extract::FromRef;
use kit::Verifier;
use sqlx::PgPool;

use crate::config::Config;

/// State shared by the handlers; cheap to clone.
#[derive(Clone, FromRef)]
pub struct AppState {
    /// The service's own database.
    pub pool: PgPool,
    /// Verifies access tokens.
    pub verifier: Verifier,
}

impl AppState {
    /// Builds the state from the configuration.
    ///
    /// # Errors
    /// Fails if a setting is invalid.
    pub fn new(config: &Config, pool: PgPool) -> anyhow::Result<Self> {
        Ok(Self {
            pool,
            verifier: config.token.verifier()?,
        })
    }
}
