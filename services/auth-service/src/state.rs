//! State shared by the handlers.

use std::sync::Arc;

use axum::extract::FromRef;
use kit::Verifier;
use kit::database::Pool;
use kit::mail::Mailer;
use time::OffsetDateTime;
use tokio::sync::Notify;

use crate::config::Config;
use crate::keyring::Keyring;
use crate::oidc::Provider;
use crate::password::Passwords;
use crate::revocation::RevocationFeed;
use crate::seal::Seal;
use crate::totp;

/// State shared by the handlers; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The service's own database.
    pub pool: Pool,
    /// Hashes and verifies passwords.
    pub passwords: Passwords,
    /// Signs access tokens.
    pub keyring: Arc<Keyring>,
    /// Publishes the sessions that ended.
    pub revocations: Arc<RevocationFeed>,
    /// The identity provider for single sign-on; `None` where none is configured.
    pub oidc: Option<Arc<Provider>>,
    /// Encrypts what is stored until it is mailed.
    pub seal: Arc<Seal>,
    /// Sends mail; `None` where none is configured.
    pub mailer: Option<Arc<dyn Mailer>>,
    /// The page that a link for a new password opens.
    pub password_reset_url: Option<Arc<str>>,
    /// Wakes the task that sends links for new passwords.
    pub reset_requested: Arc<Notify>,
    /// The `aud` of every access token.
    pub audience: Arc<str>,
    /// True if anyone may sign up; only with demo data.
    pub signup_enabled: bool,
}

impl AppState {
    /// Builds the state, creates the first signing key if there is none, and encrypts again what a former secret encrypted.
    ///
    /// # Errors
    /// Fails if a setting is invalid, the database fails, or the signing keys cannot be decrypted.
    pub async fn new(config: &Config, pool: Pool) -> anyhow::Result<Self> {
        let seal = || {
            Seal::new(
                &config.auth_key_encryption_key,
                config.auth_key_encryption_key_previous.as_ref(),
            )
        };
        let verifier = Verifier::local(&config.token_audience);
        let now = OffsetDateTime::now_utc();
        let keyring = Keyring::open(pool.clone(), seal()?, config.key_lifetime(), verifier, now).await?;
        if config.auth_key_encryption_key_previous.is_some() {
            totp::reseal_all(&pool, &seal()?).await?;
        }
        Ok(Self {
            revocations: Arc::new(RevocationFeed::new(pool.clone())),
            pool,
            passwords: Passwords::new(config.password_cost()?)?,
            keyring: Arc::new(keyring),
            oidc: config.oidc.settings()?.map(Provider::new).transpose()?.map(Arc::new),
            seal: Arc::new(seal()?),
            mailer: config.mail.mailer()?,
            password_reset_url: config.password_reset_url().map(Into::into),
            reset_requested: Arc::default(),
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
