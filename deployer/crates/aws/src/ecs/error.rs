//! Errors of rollouts, hotswaps and readiness.

use crate::TimedOut;
use crate::error::from_sdk_error;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Request(#[from] crate::Error),
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    #[error("service {service} is not running in cluster {cluster}")]
    NoService { service: String, cluster: String },
    #[error("task definition {task_definition} of {service} does not exist")]
    NoTaskDefinition { service: String, task_definition: String },
    #[error("task definition {task_definition} has no container {container}; a complete `up` is required")]
    NoContainer { task_definition: String, container: String },
    #[error("the new code of {service} did not become healthy: ECS has rolled it back to {task_definition}")]
    RolledBack { service: String, task_definition: String },
    #[error("SSM parameter {parameter} was not written by deployer ({reason}); delete it")]
    InvalidHotswapState { parameter: String, reason: String },
    #[error("stack {stack} has no output LoadBalancerDnsName")]
    NoLoadBalancerOutput { stack: String },
}

from_sdk_error!(Error);
