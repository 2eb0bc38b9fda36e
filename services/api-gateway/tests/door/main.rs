//! The gateway in front of small services of the test's own.

mod cors;
mod retry;
mod routes;
mod smuggling;
mod support;
