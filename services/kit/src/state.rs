//! State of a service with a database and no other dependency.

use axum::extract::FromRef;

use crate::{
    database::Pool,
    token::{TokenArgs, Verifier},
};

/// State shared by the handlers; cheap to clone.
#[derive(Clone, FromRef)]
pub struct AppState {
    /// The service's own database.
    pub pool: Pool,
    /// Verifies access tokens.
    pub verifier: Verifier,
}

impl AppState {
    /// Builds the state from the settings of the tokens.
    ///
    /// # Errors
    /// If a setting is invalid.
    pub fn new(token: &TokenArgs, pool: Pool) -> anyhow::Result<Self> {
        Ok(Self {
            pool,
            verifier: token.verifier()?,
        })
    }
}
