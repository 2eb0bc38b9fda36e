//! The account that a new system starts with.

use anyhow::{Context, bail};
use kit::token::Role;
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;

use crate::app::App;
use crate::email::Email;
use crate::password::MIN_CHARACTERS;
use crate::user;

/// Who is made an admin when the service starts.
pub enum FirstAdmin {
    /// The well-known account of a demo.
    Demo,
    /// An account with a password that the platform has generated.
    Given { email: String, password: SecretString },
    /// Nobody.
    Unset,
}

impl FirstAdmin {
    /// Makes the account unless it is there; a given one not if any other admin is there, either. Replicas may do so at once.
    pub async fn ensure(self, app: &App) -> anyhow::Result<()> {
        let demo = matches!(self, FirstAdmin::Demo);
        let (email, password) = match self {
            FirstAdmin::Demo => ("testuser@test.com".to_owned(), "password123".into()),
            FirstAdmin::Given { email, password } => (email, password),
            FirstAdmin::Unset => {
                if !user::any_admin(&app.pool).await? {
                    tracing::warn!("there is no admin; set AUTH_ADMIN_EMAIL and AUTH_ADMIN_PASSWORD and start again");
                }
                return Ok(());
            }
        };
        let email = match Email::parse(&email) {
            Ok(email) => email,
            Err(message) => bail!("AUTH_ADMIN_EMAIL: {message}"),
        };
        let there = if demo {
            user::find_login(&app.pool, &email).await?.user.is_some()
        } else {
            user::any_admin(&app.pool).await?
        };
        if there {
            return Ok(());
        }
        if password.expose_secret().chars().count() < MIN_CHARACTERS {
            bail!("AUTH_ADMIN_PASSWORD must be at least {MIN_CHARACTERS} characters long");
        }
        let turn = app
            .passwords
            .turn()
            .await
            .map_err(|problem| anyhow::anyhow!("{}", problem.detail()))?;
        let hash = turn
            .hash(password)
            .await
            .map_err(|problem| anyhow::anyhow!("{}", problem.detail()))?;
        let added = user::insert(&app.pool, &email, &hash, Role::Admin, OffsetDateTime::now_utc()).await;
        match added.context("the first admin could not be added")? {
            Some(admin) => tracing::info!(user.id = %admin.id, "the first admin was added"),
            None => tracing::info!("the account of AUTH_ADMIN_EMAIL was there already; it stays as it is"),
        }
        Ok(())
    }
}
