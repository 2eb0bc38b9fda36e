//! How an ECS service goes from one revision to the next, and how far its circuit breaker is.

use aws_sdk_ecs::types::{Deployment, Service};
use serde::Serialize;

/// A service with its deployments, newest first, as `DescribeServices` tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rollout {
    pub service: String,
    pub revisions: Vec<Revision>,
    /// None when the circuit breaker is off.
    pub breaker: Option<Breaker>,
    /// States of its targets behind the load balancer.
    pub targets: Vec<String>,
}

/// One deployment of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Revision {
    /// `family:N` of its task definition.
    pub name: String,
    /// PRIMARY or ACTIVE; INACTIVE when it is gone.
    pub status: String,
    /// IN_PROGRESS, COMPLETED or FAILED.
    pub rollout: String,
    pub desired: i32,
    pub running: i32,
    pub pending: i32,
    pub failed: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Breaker {
    /// Tasks that have failed, counted for the deployment that goes on or has failed last.
    pub failed: i32,
    /// How many make it trip.
    pub threshold: i32,
}

impl Rollout {
    pub fn of(service: &Service, targets: Vec<String>) -> Self {
        let revisions: Vec<Revision> = service.deployments().iter().map(Revision::of).collect();
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
            breaker: breaker.map(|_| Breaker {
                failed: counted.map_or(0, |revision| revision.failed),
                threshold: threshold(service.desired_count()),
            }),
            revisions,
            targets,
        }
    }

    /// Whether tasks come and go: there is something to show.
    pub fn is_moving(&self) -> bool {
        self.revisions.len() > 1 || self.revisions.iter().any(|revision| revision.rollout != "COMPLETED")
    }

    pub fn primary(&self) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.status == "PRIMARY")
    }

    /// `2 healthy, 1 initial`; empty when it stands behind no load balancer.
    pub fn health(&self) -> String {
        let mut states: Vec<(&str, usize)> = Vec::new();
        for target in &self.targets {
            match states.iter_mut().find(|(state, _)| state == target) {
                Some((_, count)) => *count += 1,
                None => states.push((target, 1)),
            }
        }
        states.sort_unstable();
        let words: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        words.join(", ")
    }
}

impl Revision {
    fn of(deployment: &Deployment) -> Self {
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

/// Failed tasks that trip the circuit breaker: half of the desired count, at least 3, at most 200 ("How the Amazon ECS
/// deployment circuit breaker detects failures").
pub fn threshold(desired: i32) -> i32 {
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
        let rollout = Rollout::of(&service, vec!["initial".into(), "healthy".into(), "healthy".into()]);
        assert_eq!(
            rollout.breaker,
            Some(Breaker {
                failed: 3,
                threshold: 3
            })
        );
        assert_eq!(rollout.revisions[1].name, "billing:4");
        assert_eq!(rollout.health(), "2 healthy, 1 initial");
    }

    #[test]
    fn the_threshold_is_half_of_the_desired_count_within_bounds() {
        assert_eq!([0, 1, 6, 7, 25, 800].map(threshold), [3, 3, 3, 4, 13, 200]);
    }
}
