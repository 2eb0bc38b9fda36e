//! What every handler shares.

use std::sync::Arc;

use axum::extract::FromRef;
use kit::problem::{Problem, Result};
use kit::token::{Role, Verifier};
use secrecy::SecretString;
use sqlx::PgPool;
use time::OffsetDateTime;

use crate::email::Email;
use crate::keyring::Keyring;
use crate::password::Passwords;
use crate::user::{self, User};

/// The state of the service; cheap to clone.
#[derive(Clone)]
pub struct App {
    pub pool: PgPool,
    pub passwords: Passwords,
    pub keyring: Arc<Keyring>,
    /// The `aud` of every token.
    pub audience: Arc<str>,
    /// Whether anybody may sign up: only with demo data.
    pub signup: bool,
}

impl App {
    /// Adds an account; 409 when the email address is taken.
    pub async fn register(&self, email: &Email, password: SecretString, role: Role) -> Result<User> {
        let hash = self.passwords.turn().await?.hash(password).await?;
        let user = user::insert(&self.pool, email, &hash, role, OffsetDateTime::now_utc()).await?;
        user.ok_or_else(|| Problem::conflict("Email address already exists"))
    }
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Verifier {
        app.keyring.verifier()
    }
}
