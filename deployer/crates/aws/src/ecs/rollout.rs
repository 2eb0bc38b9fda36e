//! The rollout of an ECS service from one revision to the next, and the state of its circuit breaker.

use aws_sdk_ecs::types::{Deployment, Service};

use super::traffic::Traffic;

/// A service with its deployments, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// The name of the service.
    pub service: String,
    /// Its deployments that have tasks, newest first.
    pub revisions: Vec<Revision>,
    /// `None` if the deployment circuit breaker is off.
    pub breaker: Option<CircuitBreaker>,
    /// Health states of its targets behind the load balancer.
    pub targets: Vec<String>,
    /// The movement of requests; `None` for a rolling deployment.
    pub traffic: Option<Traffic>,
}

/// One deployment of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// `family:N` of its task definition.
    pub name: String,
    /// PRIMARY, ACTIVE, or INACTIVE once it has been removed.
    pub status: String,
    /// `IN_PROGRESS`, COMPLETED or FAILED.
    pub rollout: String,
    /// Tasks that ECS is to run.
    pub desired: i32,
    /// Tasks in the status `RUNNING`.
    pub running: i32,
    /// Tasks that are being started.
    pub pending: i32,
    /// Tasks that stopped before they were healthy.
    pub failed: i32,
}

/// State of the ECS deployment circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// Failed tasks of the deployment in progress, or of the one that failed last.
    pub failed: i32,
    /// Failed tasks that trip it.
    pub threshold: i32,
}

impl Rollout {
    /// Returns the rollout of a service as `DescribeServices` reports it, with the states of its targets.
    pub(super) fn new(service: &Service, targets: Vec<String>) -> Self {
        let revisions: Vec<Revision> = service.deployments().iter().map(Revision::new).collect();
        let breaker = service
            .deployment_configuration()
            .and_then(|configuration| configuration.deployment_circuit_breaker())
            .filter(|breaker| breaker.enable());
        let counted = revisions
            .iter()
            .find(|revision| revision.rollout == "FAILED")
            .or_else(|| revisions.iter().find(|revision| revision.status == "PRIMARY"));
        Self {
            service: service.service_name().unwrap_or_default().to_owned(),
            breaker: breaker.map(|_| CircuitBreaker {
                failed: counted.map_or(0, |revision| revision.failed),
                threshold: breaker_threshold(service.desired_count()),
            }),
            revisions,
            targets,
            traffic: None,
        }
    }

    /// Returns whether a deployment is in progress.
    pub fn is_in_progress(&self) -> bool {
        self.revisions.len() > 1 || self.revisions.iter().any(|revision| revision.rollout != "COMPLETED")
    }
}

impl Revision {
    fn new(deployment: &Deployment) -> Self {
        let definition = deployment.task_definition().unwrap_or_default();
        Self {
            name: definition.rsplit('/').next().unwrap_or(definition).to_owned(),
            status: deployment.status().unwrap_or_default().to_owned(),
            rollout: deployment
                .rollout_state()
                .map_or("COMPLETED", |state| state.as_str())
                .to_owned(),
            desired: deployment.desired_count(),
            running: deployment.running_count(),
            pending: deployment.pending_count(),
            failed: deployment.failed_tasks(),
        }
    }
}

/// Returns the number of failed tasks that trips the circuit breaker: half of the desired count, at least 3, at most 200 ("How the
/// Amazon ECS deployment circuit breaker detects failures").
fn breaker_threshold(desired: i32) -> i32 {
    (desired.max(0) + 1).div_euclid(2).clamp(3, 200)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{DeploymentCircuitBreaker, DeploymentConfiguration, DeploymentRolloutState};

    use super::*;

    fn deployment(status: &str, definition: &str, state: DeploymentRolloutState, failed: i32) -> Deployment {
        Deployment::builder()
            .status(status)
            .task_definition(format!(
                "arn:aws:ecs:us-east-1:000000000000:task-definition/{definition}"
            ))
            .rollout_state(state)
            .failed_tasks(failed)
            .build()
    }

    #[test]
    fn the_breaker_counts_the_failures_of_the_deployment_that_failed_last() {
        let breaker = DeploymentCircuitBreaker::builder().enable(true).rollback(true).build();
        let service = Service::builder()
            .service_name("billing-service")
            .desired_count(2)
            .deployment_configuration(
                DeploymentConfiguration::builder()
                    .deployment_circuit_breaker(breaker)
                    .build(),
            )
            .deployments(deployment(
                "PRIMARY",
                "billing:3",
                DeploymentRolloutState::InProgress,
                0,
            ))
            .deployments(deployment("ACTIVE", "billing:4", DeploymentRolloutState::Failed, 3))
            .build();
        let rollout = Rollout::new(&service, vec!["initial".into(), "healthy".into(), "healthy".into()]);
        assert_eq!(
            rollout.breaker,
            Some(CircuitBreaker {
                failed: 3,
                threshold: 3
            })
        );
        assert_eq!(rollout.revisions[1].name, "billing:4");
    }

    #[test]
    fn the_threshold_is_half_of_the_desired_count_within_bounds() {
        assert_eq!([0, 1, 6, 7, 25, 800].map(breaker_threshold), [3, 3, 3, 4, 13, 200]);
    }
}
