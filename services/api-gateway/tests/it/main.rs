//! The gateway in front of small test services.

mod cors;
mod retry;
mod routes;
mod smuggling;
mod support;
