//! Integration tests of the endpoint.

mod account;
mod crash_points;
mod database;
mod endpoint;
mod engine;
mod mail;
mod names;
mod protection;
mod test_resource;
mod wire;
