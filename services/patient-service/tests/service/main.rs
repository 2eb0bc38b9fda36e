//! The whole service, on a database of its own for each test.

mod support;

mod billing;
mod million;
mod patients;
mod properties;
