//! The complete service, each test with its own database: messages in, emails and responses out.

mod support;

mod audit;
mod delivery;
mod erasure;
mod export;
mod notifications;
mod preferences;
mod properties;
