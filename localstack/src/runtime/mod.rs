//! What runs: the processes and proxies behind the resources.

pub mod discovery;
pub mod load_balancer;
pub mod task;
