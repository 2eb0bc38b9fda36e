//! The complete service, each test with its own database.

mod support;

mod audit;
mod bench;
mod billing;
mod bulk;
mod changes;
mod erasure;
mod families;
mod fhir;
mod import;
mod million;
mod names;
mod patients;
mod properties;
mod validation;
