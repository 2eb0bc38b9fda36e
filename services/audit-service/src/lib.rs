#![doc = include_str!("../README.md")]

pub mod config;

mod api;
pub mod chain;
pub mod event_handler;
pub mod record;
pub mod verify;

mod export;
mod fhir;
mod list;
mod own_requests;

pub use api::{openapi, router};
pub use config::Config;
pub use kit::AppState;

/// Migrations of the service's database.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Registers the descriptions of this service's own metrics.
pub fn describe_metrics() {
    metrics::describe_counter!(
        "audit_events_total",
        "Audit events that were handled, by outcome: appended or duplicate"
    );
    metrics::describe_gauge!("audit_verified_position", "Last record of the chain that was verified");
    metrics::describe_gauge!(
        "audit_chain_broken",
        "1 if verification found a record that was changed or removed, otherwise 0"
    );
}
