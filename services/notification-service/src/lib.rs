#![doc = include_str!("../README.md")]

pub mod config;

mod api;
pub mod event_handler;
pub mod sender;

mod backlog;
mod delivery;
mod event;
mod inbox;
mod message;
mod notification;
mod preference;
mod state;

pub use api::{openapi, router};
pub use config::Config;
pub use state::AppState;

/// Migrations of the service's database.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Registers the descriptions of this service's own metrics.
pub fn describe_metrics() {
    metrics::describe_counter!(
        "notification_events_total",
        "Events that were handled, by outcome: queued, late, no_recipient or duplicate"
    );
    metrics::describe_counter!(
        "notification_deliveries_total",
        "Attempts to send a notification, by outcome: sent, postponed, refused, expired or skipped"
    );
    metrics::describe_gauge!(
        "notification_oldest_pending_seconds",
        metrics::Unit::Seconds,
        "Age of the oldest notification that is pending"
    );
}
