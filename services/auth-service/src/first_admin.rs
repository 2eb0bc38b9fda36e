//! The account of the first administrator.

use anyhow::{Context, ensure};
use kit::token::Role;
use kit::{Email, Problem};
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;

use crate::config::Config;
use crate::password::MIN_CHARACTERS;
use crate::state::AppState;
use crate::user;

/// The administrator that the service creates at its start.
pub enum FirstAdmin {
    /// The well-known account of the demo data.
    Demo,
    /// An account with a password that the platform generated.
    Configured {
        /// Email address, which is also the login.
        email: String,
        /// Password until the administrator changes it.
        password: SecretString,
    },
    /// None.
    NotConfigured,
}

impl FirstAdmin {
    /// Returns the account that the configuration describes.
    pub fn from_config(config: &Config) -> Self {
        match &config.auth_admin_password {
            _ if config.seed_demo_data => Self::Demo,
            Some(password) if !config.auth_admin_email.is_empty() => Self::Configured {
                email: config.auth_admin_email.clone(),
                password: password.clone(),
            },
            _ => Self::NotConfigured,
        }
    }

    /// Creates the account if it does not exist; a configured one only if there is no other administrator.
    ///
    /// Several replicas may call this at the same time.
    ///
    /// # Errors
    /// Fails if the email address or the password is invalid, or the database fails.
    pub async fn ensure(self, state: &AppState) -> anyhow::Result<()> {
        let is_demo = matches!(self, Self::Demo);
        let (email, password) = match self {
            Self::Demo => ("testuser@test.com".to_owned(), "password123".into()),
            Self::Configured { email, password } => (email, password),
            Self::NotConfigured => {
                if !user::any_admin(&state.pool).await? {
                    tracing::warn!(
                        "there is no administrator; set AUTH_ADMIN_EMAIL and AUTH_ADMIN_PASSWORD and restart"
                    );
                }
                return Ok(());
            }
        };
        let email = Email::parse(&email).context("AUTH_ADMIN_EMAIL")?.into_lowercase();
        let exists = if is_demo {
            user::find_login_candidate(&state.pool, &email).await?.user.is_some()
        } else {
            user::any_admin(&state.pool).await?
        };
        if exists {
            return Ok(());
        }
        ensure!(
            password.expose_secret().chars().count() >= MIN_CHARACTERS,
            "AUTH_ADMIN_PASSWORD must be at least {MIN_CHARACTERS} characters long"
        );
        let hash = hash(state, password)
            .await
            .map_err(|problem| anyhow::anyhow!("{}", problem.detail()))?;
        let inserted = user::insert(&state.pool, &email, &hash, Role::Admin, OffsetDateTime::now_utc()).await;
        if let Some(admin) = inserted.context("cannot create the first administrator")? {
            tracing::info!(user.id = %admin.id, "created the first administrator");
        } else {
            tracing::info!("the account of AUTH_ADMIN_EMAIL exists; it is not changed");
        }
        Ok(())
    }
}

async fn hash(state: &AppState, password: SecretString) -> Result<String, Problem> {
    state.passwords.acquire().await?.hash(password).await
}
