#![doc = include_str!("../README.md")]

pub mod address;
pub mod administrator;
pub mod api;
pub mod app;
pub mod config;
pub mod credentials;
pub mod email;
pub mod first_admin;
pub mod keyring;
pub mod password;
pub mod refresh_token;
pub mod seal;
pub mod session;
pub mod signing_key;
pub mod throttle;
pub mod upkeep;
pub mod user;

/// The schema, in the order in which it grew.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");
