#![doc = include_str!("../README.md")]

mod broker;
mod client;
mod kafka;
mod ledger;
mod link;
pub mod load;
mod log;
mod patient;
mod port;
mod postgres;
mod process;
mod proxy;
mod replica;
mod service;
mod system;
mod target_group;
mod wait;

pub use broker::Broker;
pub use client::{Answer, Client, Request};
pub use kafka::{Kafka, Record};
pub use ledger::Ledger;
pub use link::Link;
pub use patient::a_patient;
pub use port::free_port;
pub use postgres::Postgres;
pub use process::Process;
pub use proxy::Proxy;
pub use replica::Replica;
pub use service::Service;
pub use system::{Options, System};
pub use target_group::TargetGroup;
pub use wait::{eventually, until};
