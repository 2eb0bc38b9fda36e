//! The gateway in front of small test services.

mod cors;
mod early_refusal;
mod export;
mod retry;
mod routes;
mod smuggling;
mod support;
