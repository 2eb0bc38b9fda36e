#![doc = include_str!("../README.md")]

pub mod config;

mod api;
pub mod grpc;

mod account;
pub mod link_secret;

pub use api::{openapi, router};
pub use config::Config;
pub use kit::AppState;

/// Migrations of the service's database.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");
