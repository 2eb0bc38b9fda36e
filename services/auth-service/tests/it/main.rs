//! The service's routes, each test with its own database.

mod fake_provider;
mod keys;
mod login;
mod password_reset;
mod passwords;
mod properties;
mod real_provider;
mod revocation;
mod secrets;
mod sessions;
mod single_sign_on;
mod single_sign_on_refused;
mod support;
mod throttle;
mod totp;
mod users;
