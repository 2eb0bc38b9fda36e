//! Integration tests of the endpoint.

mod account;
mod concurrency;
mod crash_points;
mod database;
mod endpoint;
mod engine;
mod groups;
mod load_balancer;
mod mail;
mod names;
mod nested_stacks;
mod network;
mod protection;
mod regions;
mod security_groups;
mod templates;
mod test_resource;
mod transforms;
mod unsupported;
mod wait_conditions;
mod wire;
