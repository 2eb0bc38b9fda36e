//! The rollout of an ECS service, as events report it.

use serde::Serialize;

/// A service with its deployments, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Rollout {
    /// The service's name.
    pub service: String,
    /// The deployments.
    pub revisions: Vec<Revision>,
    /// Null if the deployment circuit breaker is off.
    pub breaker: Option<CircuitBreaker>,
    /// Health states of its targets behind the load balancer.
    pub targets: Vec<String>,
    /// The movement of requests to the new tasks; null for a rolling deployment.
    pub traffic: Option<Traffic>,
}

/// The movement of requests to the tasks of a new deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Traffic {
    /// `BLUE_GREEN`, `LINEAR` or `CANARY`.
    pub strategy: String,
    /// ECS's stage, such as `PRODUCTION_TRAFFIC_SHIFT`; `ROLLBACK` while requests move back.
    pub stage: String,
    /// The part of the requests that the new tasks get, in percent.
    pub percent: u32,
    /// Minutes that are left of the step, as far as they are known.
    pub minutes: Option<u32>,
}

/// `10 % of the requests to the new tasks (canary), 4 min left`.
impl std::fmt::Display for Traffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let strategy = self.strategy.to_lowercase().replace('_', "-");
        write!(f, "{} % of the requests to the new tasks ({strategy})", self.percent)?;
        match (self.stage.as_str(), self.minutes) {
            ("ROLLBACK", _) => f.write_str(", rolling back"),
            ("BAKE_TIME", Some(minutes)) => write!(f, ", bake time, {minutes} min left"),
            (_, Some(minutes)) => write!(f, ", {minutes} min left"),
            (_, None) => Ok(()),
        }
    }
}

/// One deployment of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Revision {
    /// `family:N` of its task definition.
    pub name: String,
    /// PRIMARY, ACTIVE, or INACTIVE once it has been removed.
    pub status: String,
    /// `IN_PROGRESS`, COMPLETED or FAILED.
    pub rollout: String,
    /// Tasks that ECS is to run.
    pub desired: i32,
    /// Tasks that run.
    pub running: i32,
    /// Tasks that are being started.
    pub pending: i32,
    /// Tasks that stopped or did not start.
    pub failed: i32,
}

/// State of the ECS deployment circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct CircuitBreaker {
    /// Failed tasks of the deployment in progress, or of the one that failed last.
    pub failed: i32,
    /// Failed tasks that trip it.
    pub threshold: i32,
}

impl Rollout {
    /// Returns true if a deployment is in progress.
    pub fn is_in_progress(&self) -> bool {
        self.revisions.len() > 1 || self.revisions.iter().any(|revision| revision.rollout != "COMPLETED")
    }

    /// Returns the targets counted by state, `2 healthy, 1 initial`; empty without a load balancer.
    pub fn target_health(&self) -> String {
        let mut states: Vec<(&str, usize)> = Vec::new();
        for target in &self.targets {
            match states.iter_mut().find(|(state, _)| state == target) {
                Some((_, count)) => *count += 1,
                None => states.push((target, 1)),
            }
        }
        states.sort_unstable();
        let counted: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        counted.join(", ")
    }
}
