//! Integration tests of the endpoint.

mod account;
mod crash_points;
mod database;
mod endpoint;
mod engine;
mod groups;
mod load_balancer;
mod mail;
mod names;
mod network;
mod protection;
mod test_resource;
mod wire;
