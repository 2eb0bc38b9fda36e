//! The complete service, each test with its own database: messages in, responses out.

mod support;

mod audit;
mod events;
mod export;
mod kafka;
mod properties;
mod statistics;
