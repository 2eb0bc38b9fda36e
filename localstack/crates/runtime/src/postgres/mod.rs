//! PostgreSQL servers: one for each RDS instance, with a separate address.

mod cluster;
mod install;
mod os_user;
mod parameters;

pub use cluster::{Cluster, Master};
pub use install::Installation;
pub use parameters::Parameters;
