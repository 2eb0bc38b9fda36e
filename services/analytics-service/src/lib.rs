#![doc = include_str!("../README.md")]

pub mod config;

mod api;
pub mod event_handler;
pub mod journal;

mod patient_events;
pub mod summary;
mod timeline;

pub use api::{openapi, router};
pub use config::Config;
pub use kit::AppState;

/// Migrations of the service's database.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Registers the descriptions of this service's own metrics.
pub fn describe_metrics() {
    metrics::describe_counter!(
        "analytics_events_total",
        "Events that were handled, by outcome: applied, late or duplicate"
    );
}
