//! Deployments that move requests in steps: blue/green, linear, canary.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_ecs::types::{
    DeploymentConfiguration, DeploymentStrategy, Service, ServiceDeploymentLifecycleStage, ServiceDeploymentStatus,
};
use serde::Serialize;

use crate::error::Result;
use crate::session::Session;

/// The movement of requests to the tasks of a new deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// `BLUE_GREEN`, `LINEAR` or `CANARY`.
    pub strategy: String,
    /// ECS's stage, such as `PRODUCTION_TRAFFIC_SHIFT`; `ROLLBACK` while requests move back.
    pub stage: String,
    /// The part of the requests that the new tasks get, in percent.
    pub percent: u32,
    /// The whole minutes that the step takes, or that are left of it once its start was seen; `None` for a stage without a time.
    pub minutes: Option<u32>,
}

/// Returns the movement of requests of a service; `None` if its deployment moves none, or is over.
///
/// # Errors
/// A request fails.
pub async fn traffic(aws: &Session, cluster: &str, service: &Service) -> Result<Option<Traffic>> {
    let strategy = service
        .deployment_configuration()
        .and_then(DeploymentConfiguration::strategy);
    let Some(strategy) = strategy.filter(|strategy| **strategy != DeploymentStrategy::Rolling) else {
        return Ok(None);
    };
    let request = aws.ecs.list_service_deployments().cluster(cluster);
    let request = request
        .service(service.service_name().unwrap_or_default())
        .status(ServiceDeploymentStatus::Pending)
        .status(ServiceDeploymentStatus::InProgress)
        .status(ServiceDeploymentStatus::RollbackInProgress);
    let listed = request.send().await?;
    let arn = listed
        .service_deployments()
        .first()
        .and_then(|one| one.service_deployment_arn());
    let Some(arn) = arn else { return Ok(None) };
    let request = aws.ecs.describe_service_deployments().service_deployment_arns(arn);
    let response = request.send().await?;
    let Some(deployment) = response.service_deployments().first() else {
        return Ok(None);
    };
    let is_rollback = deployment.status() == Some(&ServiceDeploymentStatus::RollbackInProgress);
    let stage = deployment.lifecycle_stage();
    let weight = deployment
        .target_service_revision()
        .and_then(|target| target.requested_production_traffic_weight());
    Ok(Some(Traffic {
        strategy: strategy.as_str().to_owned(),
        stage: match stage {
            _ if is_rollback => "ROLLBACK".to_owned(),
            stage => stage.map_or("PENDING", |stage| stage.as_str()).to_owned(),
        },
        percent: percent(weight.unwrap_or_default()),
        minutes: deployment
            .deployment_configuration()
            .filter(|_| !is_rollback)
            .and_then(|configuration| minutes(configuration, stage?)),
    }))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a percentage")]
fn percent(weight: f64) -> u32 {
    weight.clamp(0.0, 100.0).round() as u32
}

/// Returns the minutes of a stage.
fn minutes(of: &DeploymentConfiguration, stage: &ServiceDeploymentLifecycleStage) -> Option<u32> {
    let minutes = match stage {
        ServiceDeploymentLifecycleStage::BakeTime => of.bake_time_in_minutes(),
        ServiceDeploymentLifecycleStage::ProductionTrafficShift => match of.strategy()? {
            DeploymentStrategy::Canary => of.canary_configuration()?.canary_bake_time_in_minutes(),
            DeploymentStrategy::Linear => of.linear_configuration()?.step_bake_time_in_minutes(),
            _ => None,
        },
        _ => None,
    };
    minutes.and_then(|minutes| u32::try_from(minutes).ok())
}

/// Counts the minutes of steps down from when each was first seen: ECS does not report when one started.
#[derive(Default)]
pub struct Countdown {
    /// Stage, percentage and time, by the service's ARN.
    started: HashMap<String, (String, u32, Duration)>,
}

impl Countdown {
    /// Returns the movement with the minutes that are left at `now`.
    pub fn of(&mut self, service: &str, mut traffic: Traffic, now: Duration) -> Traffic {
        let step = (traffic.stage.clone(), traffic.percent);
        let started = self
            .started
            .get(service)
            .filter(|(stage, percent, _)| (stage, *percent) == (&step.0, step.1));
        let at = started.map_or(now, |(.., at)| *at);
        if started.is_none() {
            self.started.insert(service.to_owned(), (step.0, step.1, now));
        }
        let passed = u32::try_from(now.saturating_sub(at).as_secs() / 60).unwrap_or(u32::MAX);
        traffic.minutes = traffic.minutes.map(|minutes| minutes.saturating_sub(passed));
        traffic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_counted_from_the_first_sight_of_each_step() {
        let at = |percent| Traffic {
            strategy: "CANARY".into(),
            stage: "PRODUCTION_TRAFFIC_SHIFT".into(),
            percent,
            minutes: Some(5),
        };
        let mut countdown = Countdown::default();
        let mut left = |percent, seconds| countdown.of("arn", at(percent), Duration::from_secs(seconds)).minutes;
        assert_eq!(
            [
                left(10, 100),
                left(10, 159),
                left(10, 160),
                left(10, 900),
                left(50, 900)
            ],
            [Some(5), Some(5), Some(4), Some(0), Some(5)]
        );
    }
}
