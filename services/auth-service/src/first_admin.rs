//! The account of the first administrator.

use anyhow::{Context, ensure};
use kit::token::Role;
use kit::{Email, Problem};
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;

use crate::config::Config;
use crate::password::{MIN_CHARACTERS, Password, Verification};
use crate::refresh_token;
use crate::state::AppState;
use crate::user::{self, LoginCandidate};

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

    /// Creates the account if it does not exist; a configured one only if there is no other administrator. A new value of the
    /// configured password takes effect if the account still has a former value.
    ///
    /// Several replicas may call this at the same time.
    ///
    /// # Errors
    /// Fails if the email address or the password is invalid, or the database fails.
    pub async fn ensure(self, state: &AppState) -> anyhow::Result<()> {
        let is_demo = matches!(self, Self::Demo);
        let (email, password) = match self {
            Self::Demo => ("testuser@test.com".to_owned(), Password::from("password123")),
            Self::Configured { email, password } => (email, Password::from(password.expose_secret())),
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
        let candidate = user::find_login_candidate(&state.pool, &email).await?;
        if !is_demo && candidate.user.as_ref().is_some_and(|user| user.role == Role::Admin) {
            return rotate(state, candidate, password).await;
        }
        if candidate.user.is_some() && is_demo || !is_demo && user::any_admin(&state.pool).await? {
            return Ok(());
        }
        let hash = hash(state, password).await?;
        let inserted = user::insert(&state.pool, &email, &hash, Role::Admin, OffsetDateTime::now_utc()).await;
        if let Some(admin) = inserted.context("cannot create the first administrator")? {
            if !is_demo {
                user::mark_password_as_configured(&state.pool, &admin).await?;
            }
            tracing::info!(user.id = %admin.id, "created the first administrator");
        } else {
            tracing::info!("the account of AUTH_ADMIN_EMAIL exists; it is not changed");
        }
        Ok(())
    }
}

/// Sets the configured password of the administrator who has a former value of the setting, and ends the sessions.
///
/// A password that the administrator has chosen stays.
async fn rotate(state: &AppState, candidate: LoginCandidate, password: Password) -> anyhow::Result<()> {
    let Some(user) = candidate.user else { return Ok(()) };
    let permit = state.passwords.acquire().await.map_err(into_error)?;
    let verification = permit.verify(password.clone(), candidate.password_hash).await;
    let has_value = match verification.map_err(into_error)? {
        Verification::Match | Verification::OutdatedMatch => true,
        Verification::Mismatch | Verification::Unreadable => false,
    };
    drop(permit);
    match (has_value, candidate.password_is_configured) {
        // Created before the origin of a password was recorded.
        (true, false) => user::mark_password_as_configured(&state.pool, &user).await?,
        (false, true) => {
            let hash = hash(state, password).await?;
            let mut transaction = state.pool.begin().await?;
            // Of several replicas, one sets it.
            if user::set_password(&mut transaction, &user, &hash, true).await? {
                refresh_token::revoke_all(&mut *transaction, user.id).await?;
                transaction.commit().await?;
                tracing::info!(user.id = %user.id, "the new value of AUTH_ADMIN_PASSWORD is the administrator's password");
            }
        }
        (true, true) | (false, false) => {}
    }
    Ok(())
}

async fn hash(state: &AppState, password: Password) -> anyhow::Result<String> {
    ensure!(
        password.characters() >= MIN_CHARACTERS,
        "AUTH_ADMIN_PASSWORD must be at least {MIN_CHARACTERS} characters long"
    );
    let permit = state.passwords.acquire().await.map_err(into_error)?;
    permit.hash(password).await.map_err(into_error)
}

#[expect(clippy::needless_pass_by_value, reason = "the argument of map_err")]
fn into_error(problem: Problem) -> anyhow::Error {
    anyhow::anyhow!("{}", problem.detail())
}
