//! The service's routes on a database of the test's own.

mod keys;
mod login;
mod properties;
mod sessions;
mod support;
mod users;
