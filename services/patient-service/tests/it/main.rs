//! The complete service, each test with its own database.

mod support;

mod audit;
mod bench;
mod billing;
mod families;
mod million;
mod patients;
mod properties;
mod validation;
