#![doc = include_str!("../README.md")]

pub mod config;
mod state;

mod api;
pub mod first_admin;
pub mod maintenance;

mod client_address;
mod credentials;
mod current_user;

pub mod access_token;
pub mod keyring;
pub mod oidc;
pub mod password;
pub mod password_reset;
pub mod refresh_token;
pub mod revocation;
pub mod seal;
mod session;
mod signing_key;
mod stored_hash;
mod throttle;
pub mod totp;
pub mod user;

pub use api::{openapi, router};
pub use config::Config;
pub use state::AppState;

/// Migrations of the service's database.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Registers the descriptions of this service's own metrics.
pub fn describe_metrics() {
    metrics::describe_counter!("auth_logins_total", "Logins with a password, by outcome");
    metrics::describe_counter!(
        "auth_password_reset_mails_total",
        "Requests for a link for a new password, by outcome of their mail"
    );
    metrics::describe_counter!(
        "auth_single_sign_on_logins_total",
        "Logins by single sign-on, by outcome"
    );
    metrics::describe_counter!(
        "auth_refresh_reuse_total",
        "Refresh tokens that were used twice, which revoked their family"
    );
}
