//! PostgreSQL servers: one for each RDS instance, with a separate address.

mod cluster;
mod install;
mod os_user;
mod parameters;
mod program;
mod sql;
mod template;

pub use cluster::Cluster;
pub use install::Installation;
pub use parameters::Parameters;
pub use sql::Master;
