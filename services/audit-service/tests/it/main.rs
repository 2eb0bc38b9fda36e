//! The complete service, each test with its own database.

mod support;

mod chain;
mod export;
mod kafka;
mod list;
