#![doc = include_str!("../README.md")]

pub mod config;
pub mod state;

pub mod api;
pub mod grpc;

pub mod account;
pub mod link_secret;

pub use api::{openapi, router};
pub use config::Config;
pub use state::AppState;

/// Migrations of the service's database.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");
