#![doc = include_str!("../README.md")]

pub mod config;
mod state;

mod api;
pub mod demo_data;
pub mod maintenance;
pub mod topics;

mod family;
mod fhir;
pub mod patient;

pub mod billing;
pub mod calendar;
mod cursor;
mod idempotency;
mod precondition;

pub use api::{openapi, router};
pub use config::Config;
pub use state::AppState;

/// Migrations of the service's database.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Registers the descriptions of this service's own metrics.
pub fn describe_metrics() {
    metrics::describe_counter!("patients_created_total", "Patients that were created");
    billing::describe_metrics();
}
