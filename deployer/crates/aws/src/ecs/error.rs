//! Errors of rollouts, hotswaps and readiness.

use crate::TimedOut;
use crate::error::from_sdk_error;

/// The result of an operation on services.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on services that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request to an AWS service failed.
    #[error(transparent)]
    Request(#[from] crate::Error),
    /// The rollout or the wait did not end in time.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// ECS has no active service of this name.
    #[error("service {service} is not running in cluster {cluster}")]
    NoService {
        /// The name of the service.
        service: String,
        /// The name of the cluster.
        cluster: String,
    },
    /// ECS does not return the task definition that the service names.
    #[error("task definition {task_definition} of {service} does not exist")]
    NoTaskDefinition {
        /// The name of the service.
        service: String,
        /// Its ARN.
        task_definition: String,
    },
    /// The running task definition has other containers than the plan.
    #[error("task definition {task_definition} has no container {container}; a complete `up` is required")]
    NoContainer {
        /// Its ARN.
        task_definition: String,
        /// The name of the container.
        container: String,
    },
    /// The deployment circuit breaker stopped the rollout.
    #[error("the new code of {service} did not become healthy: ECS has rolled it back to {task_definition}")]
    RolledBack {
        /// The name of the service.
        service: String,
        /// The ARN of the former one.
        task_definition: String,
    },
    /// A quota of the account has no room for the service's tasks.
    #[error(
        "ECS cannot place tasks of {service}: {reason}; the rollout is still in progress, but deployer stopped waiting"
    )]
    Unplaced {
        /// The name of the service.
        service: String,
        /// ECS's reason.
        reason: String,
    },
    /// The record of a hotswap cannot be read.
    #[error("SSM parameter {parameter} was not written by deployer ({reason}); delete it")]
    InvalidHotswapState {
        /// The name of the parameter.
        parameter: String,
        /// The fault in its value.
        reason: String,
    },
    /// The stack of the load balancer does not publish its address.
    #[error("stack {stack} has no output LoadBalancerDnsName")]
    NoLoadBalancerOutput {
        /// The name of the stack.
        stack: String,
    },
}

from_sdk_error!(Error);
