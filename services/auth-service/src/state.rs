//! State shared by the handlers.

use std::sync::Arc;

use axum::extract::FromRef;
use kit::Verifier;
use kit::database::Pool;
use time::OffsetDateTime;

use crate::config::Config;
use crate::keyring::Keyring;
use crate::password::Passwords;
use crate::seal::Seal;

/// State shared by the handlers; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The service's own database.
    pub pool: Pool,
    /// Hashes and verifies passwords.
    pub passwords: Passwords,
    /// Signs access tokens.
    pub keyring: Arc<Keyring>,
    /// The `aud` of every access token.
    pub audience: Arc<str>,
    /// True if anyone may sign up; only with demo data.
    pub signup_enabled: bool,
}

impl AppState {
    /// Builds the state, and creates the first signing key if there is none.
    ///
    /// # Errors
    /// Fails if a setting is invalid, the database fails, or the signing keys cannot be decrypted.
    pub async fn new(config: &Config, pool: Pool) -> anyhow::Result<Self> {
        let seal = Seal::new(
            &config.auth_key_encryption_key,
            config.auth_key_encryption_key_previous.as_ref(),
        )?;
        let verifier = Verifier::local(&config.token_audience);
        let now = OffsetDateTime::now_utc();
        let keyring = Keyring::open(pool.clone(), seal, config.key_lifetime(), verifier, now).await?;
        Ok(Self {
            pool,
            passwords: Passwords::new(config.password_cost()?)?,
            keyring: Arc::new(keyring),
            audience: config.token_audience.as_str().into(),
            signup_enabled: config.seed_demo_data,
        })
    }
}

impl FromRef<AppState> for Verifier {
    fn from_ref(state: &AppState) -> Self {
        state.keyring.verifier()
    }
}
