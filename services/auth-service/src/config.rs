//! The settings of the service.

use argon2::Params;
use clap::Args;
use kit::ServeArgs;
use kit::database::DatabaseArgs;
use secrecy::SecretString;
use time::Duration;

use crate::first_admin::FirstAdmin;

/// Everything that the environment or the command line tells.
#[derive(Debug, Args)]
pub struct Config {
    #[command(flatten)]
    pub serve: ServeArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Secret that the signing keys are encrypted with in the database; 32 random characters or more
    #[arg(long, env = "AUTH_KEY_ENCRYPTION_KEY", hide_env_values = true)]
    pub auth_key_encryption_key: SecretString,
    /// The secret before it, while the change is rolled out
    #[arg(long, env = "AUTH_KEY_ENCRYPTION_KEY_PREVIOUS", hide_env_values = true)]
    pub auth_key_encryption_key_previous: Option<SecretString>,
    /// Days that a signing key signs before the next one does
    #[arg(long, env = "AUTH_KEY_LIFETIME_DAYS", default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=365))]
    pub auth_key_lifetime_days: i64,
    /// Memory of one password hash (argon2id), in KiB; OWASP recommends 19456 or more with 2 passes
    #[arg(long, env = "PASSWORD_MEMORY_KIB", default_value_t = 19_456, value_parser = clap::value_parser!(u32).range(7168..=1_048_576))]
    pub password_memory_kib: u32,
    /// Passes over that memory; raise either, and each password is hashed again at its next login
    #[arg(long, env = "PASSWORD_PASSES", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub password_passes: u32,
    /// Email address of the first admin, made when there is none; not needed with demo data
    #[arg(long, env = "AUTH_ADMIN_EMAIL", default_value = "")]
    pub auth_admin_email: String,
    /// Password of the first admin
    #[arg(long, env = "AUTH_ADMIN_PASSWORD", hide_env_values = true)]
    pub auth_admin_password: Option<SecretString>,
    /// Whether the demo's admin is made, and anybody may sign up; never where real data is
    #[arg(long, env = "SEED_DEMO_DATA", default_value_t = false, action = clap::ArgAction::Set)]
    pub seed_demo_data: bool,
    /// The `aud` of every token, which is the project's name
    #[arg(long, env = "TOKEN_AUDIENCE", default_value = "patient-management")]
    pub token_audience: String,
}

impl Config {
    /// How long a signing key signs.
    pub fn key_lifetime(&self) -> Duration {
        Duration::days(self.auth_key_lifetime_days)
    }

    /// What a password hash costs.
    pub fn password_cost(&self) -> anyhow::Result<Params> {
        Params::new(self.password_memory_kib, self.password_passes, 1, None)
            .map_err(|error| anyhow::anyhow!("PASSWORD_MEMORY_KIB and PASSWORD_PASSES: {error}"))
    }

    /// Who is the first admin.
    pub fn first_admin(&self) -> FirstAdmin {
        match &self.auth_admin_password {
            _ if self.seed_demo_data => FirstAdmin::Demo,
            Some(password) if !self.auth_admin_email.is_empty() => FirstAdmin::Given {
                email: self.auth_admin_email.clone(),
                password: password.clone(),
            },
            _ => FirstAdmin::Unset,
        }
    }
}
