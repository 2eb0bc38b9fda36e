//! Integration tests of the endpoint.

mod account;
mod database;
mod endpoint;
mod engine;
mod mail;
mod names;
mod network;
mod protection;
mod test_resource;
mod wire;
