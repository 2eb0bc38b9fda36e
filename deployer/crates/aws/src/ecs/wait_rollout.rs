//! Waits for rollouts that were started without CloudFormation.

use std::time::Duration;

use aws_sdk_ecs::types::{Deployment, Service};
use time::OffsetDateTime;

use super::diagnose::{Diagnosis, EcsEvent};
use super::error::{Error, Result};
use super::placement::Unplaced;
use super::service_of;
use crate::clock::Wait;
use crate::cloudformation::StackEvent;
use crate::session::Session;

/// Tolerated difference of two clocks, in seconds.
const CLOCK_SKEW: f64 = 5.0;

/// A service that rolls out another task definition.
#[derive(Debug, Clone)]
pub struct ServiceRollout {
    /// Full name of its stack.
    pub stack: String,
    /// Its logical ID.
    pub resource: String,
    /// The name of the service.
    pub service: String,
    /// The ARN of the service.
    pub arn: String,
    /// ARN of the task definition that is rolled out.
    pub task_definition: String,
}

/// The state of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutState {
    /// Tasks of the former deployment still run.
    InProgress,
    /// Only tasks of the new deployment run.
    Completed,
    /// The service runs this task definition again.
    RolledBack(String),
}

/// The news of one poll.
#[derive(Debug)]
pub struct RolloutProgress {
    /// The news since the last poll, oldest first.
    pub events: Vec<EcsEvent>,
    /// The state at this poll.
    pub state: RolloutState,
}

/// A wait for one rollout.
pub struct RolloutWait {
    aws: Session,
    rollout: ServiceRollout,
    diagnosis: Diagnosis,
    /// The event that a stack operation would report of the service.
    events: [StackEvent; 1],
    wait: Wait,
    last: Option<String>,
    polled: bool,
}

impl RolloutWait {
    /// Starts to follow a rollout.
    pub fn start(aws: &Session, rollout: ServiceRollout, timeout: Duration) -> Self {
        let event = StackEvent {
            id: String::new(),
            logical_id: rollout.resource.clone(),
            physical_id: rollout.arn.clone(),
            resource_type: "AWS::ECS::Service".to_owned(),
            status: "UPDATE_IN_PROGRESS".to_owned(),
            reason: None,
            is_stack: false,
            time: OffsetDateTime::now_utc().unix_timestamp() as f64 - CLOCK_SKEW,
        };
        Self {
            aws: aws.clone(),
            rollout,
            diagnosis: Diagnosis::default(),
            events: [event],
            wait: aws.wait(timeout),
            last: None,
            polled: false,
        }
    }

    /// Returns the time since the wait started.
    pub fn elapsed(&self) -> Duration {
        self.wait.elapsed()
    }

    /// Waits for the next poll, and returns its news. The events of the last poll include why tasks stopped.
    ///
    /// # Errors
    /// A request fails, the service does not exist any more, or the timeout has passed.
    pub async fn poll(&mut self) -> Result<RolloutProgress> {
        let Self { aws, events, .. } = self;
        if std::mem::replace(&mut self.polled, true) {
            let last = self.last.take();
            self.wait
                .check(|| format!("the rollout of {}", self.rollout.service), || last)?;
            self.wait.pause().await;
        }
        let progress = self.diagnosis.poll(aws, events).await;
        if let Some(Unplaced { service, reason, .. }) = progress.unplaced {
            return Err(Error::Unplaced { service, reason });
        }
        let mut news = progress.events;
        let (state, last) = state(aws, &self.rollout).await?;
        if state != RolloutState::InProgress {
            news.extend(self.diagnosis.poll_now(aws, events).await.events);
        }
        if !news.is_empty() {
            self.wait.changed();
        }
        self.last = Some(last);
        Ok(RolloutProgress { events: news, state })
    }
}

/// Returns the state of a rollout, and its description.
async fn state(aws: &Session, rollout: &ServiceRollout) -> Result<(RolloutState, String)> {
    let (cluster, name) = service_of(&rollout.arn).unwrap_or(("default", &rollout.arn));
    let request = aws.ecs.describe_services().cluster(cluster).services(name);
    let response = request.send().await?;
    let active = |found: &&Service| found.status() == Some("ACTIVE");
    let service = response.services().iter().find(active);
    let service = service.ok_or_else(|| Error::NoService {
        service: name.to_owned(),
        cluster: cluster.to_owned(),
    })?;
    let live = service.task_definition().unwrap_or_default();
    let rollout_state = |deployment: &Deployment| {
        let state = deployment.rollout_state();
        state.map_or("COMPLETED", |state| state.as_str()).to_owned()
    };
    let states: Vec<String> = service.deployments().iter().map(rollout_state).collect();
    let (running, desired) = (service.running_count(), service.desired_count());
    let description = format!("{running} of {desired} running, rollout {}", states.join(", "));
    let state = match states.as_slice() {
        _ if live != rollout.task_definition => RolloutState::RolledBack(live.to_owned()),
        [one] if one == "COMPLETED" && running == desired => RolloutState::Completed,
        // The circuit breaker has tripped, and there is no deployment to roll back to.
        [one] if one == "FAILED" => RolloutState::RolledBack(live.to_owned()),
        _ => RolloutState::InProgress,
    };
    Ok((state, description))
}
