//! The complete service, each test with its own database.

mod support;

mod chain;
mod export;
mod fhir;
mod kafka;
mod list;
