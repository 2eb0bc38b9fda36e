//! The service's routes, each test with its own database.

mod keys;
mod login;
mod properties;
mod secrets;
mod sessions;
mod support;
mod users;
