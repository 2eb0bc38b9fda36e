//! Fault-injection tests: real processes, real PostgreSQL, real Kafka, and proxies that fail on command.
//!
//! Each test ends with [`end_to_end::Ledger::verify`], which checks every invariant of the data.

mod audit;
mod billing;
mod broker;
mod consumer;
mod export;
mod harness;
mod outbox;
mod poison;
mod postgres;
mod rebalance;
mod replicas;
