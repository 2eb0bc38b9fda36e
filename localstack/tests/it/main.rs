//! Integration tests of the endpoint.

mod account;
mod database;
mod endpoint;
mod engine;
mod mail;
mod names;
mod nested_stacks;
mod protection;
mod templates;
mod test_resource;
mod wait_conditions;
mod wire;
