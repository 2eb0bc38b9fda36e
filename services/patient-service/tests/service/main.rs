//! The whole service, on a database of its own for each test.

mod support;

mod bench;
mod billing;
mod million;
mod patients;
mod properties;
