//! PostgreSQL servers: one for each RDS instance, on an address of its own.

mod cluster;
mod install;
mod owner;
mod parameters;

pub use cluster::{Cluster, Master};
pub use install::Install;
pub use parameters::Parameters;
