//! The service's routes, each test with its own database.

mod keys;
mod login;
mod password_reset;
mod passwords;
mod properties;
mod revocation;
mod secrets;
mod sessions;
mod support;
mod throttle;
mod users;
