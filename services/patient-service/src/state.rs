//! State shared by the handlers.

use std::sync::Arc;

use axum::extract::FromRef;
use kit::Verifier;
use kit::database::Pool;

use crate::{billing::BillingClient, calendar::Calendar, config::Config};

/// State shared by the handlers; cheap to clone.
#[derive(Clone, FromRef)]
pub struct AppState {
    /// The service's own database.
    pub pool: Pool,
    /// Verifies access tokens.
    pub verifier: Verifier,
    /// The gRPC client of billing-service.
    pub billing: Arc<BillingClient>,
    /// The current date in the patients' time zone.
    pub calendar: Calendar,
}

impl AppState {
    /// Builds the state from the configuration.
    ///
    /// # Errors
    /// Fails if a setting is invalid or the database does not know the time zone.
    pub async fn new(config: &Config, pool: Pool) -> anyhow::Result<Self> {
        let billing = BillingClient::new(&config.billing_service_address, config.billing_link_secret.as_ref())?;
        Ok(Self {
            verifier: config.token.verifier()?,
            billing: Arc::new(billing),
            calendar: Calendar::new(&config.time_zone, &pool).await?,
            pool,
        })
    }
}
