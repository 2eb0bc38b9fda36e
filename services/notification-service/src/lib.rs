#![doc = include_str!("../README.md")]

pub mod config;

mod api;
pub mod event_handler;
pub mod sender;

mod event;
mod inbox;
pub mod mailer;
pub mod message;
mod notification;

pub use api::{openapi, router};
pub use config::Config;
pub use kit::AppState;

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
        "Attempts to send a notification, by outcome: sent, postponed or failed"
    );
}
