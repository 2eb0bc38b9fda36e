//! The services as processes. One binary for all modules: each would link the same libraries again.
//!
//! A test that starts processes is ignored by `cargo test`; `scripts/test` builds the services first, and runs one module after the other.

mod authorisation;
mod data_leaks;
mod database;
mod faults;
mod msk_iam;
mod openapi;
mod proxy;
mod requests;
mod rolling;
mod stop;
mod trace;
