//! Integration tests of the endpoint.

mod account;
mod database;
mod endpoint;
mod engine;
mod names;
mod protection;
mod test_resource;
mod wire;
