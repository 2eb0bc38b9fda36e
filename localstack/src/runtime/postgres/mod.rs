//! PostgreSQL servers: one for each RDS instance, on an address of its own.

mod cluster;
mod install;
mod owner;

pub use cluster::{Cluster, Master};
pub use install::Install;
