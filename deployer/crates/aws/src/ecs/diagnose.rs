//! The ECS side of a stack operation: rollouts, and the reasons of stopped tasks, read before a rollback deletes them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_ecs::types::{DesiredStatus, HealthStatus, Task};

use super::crash_loop::CrashLoopDetector;
use super::placement::{PlacementDetector, Unplaced};
use super::rollout::{CircuitBreaker, Rollout};
use super::stopped_task::{self, StoppedTask};
use super::traffic::{self, Countdown};
use super::{logs, service_of};
use crate::cloudformation::StackEvent;
use crate::elb;
use crate::error::Result;
use crate::session::Session;

/// Maximum log lines of a stopped task.
const MAX_LOG_LINES: usize = 20;
/// A task without a health check is healthy once it has run this long, in seconds.
const HEALTHY_AFTER: f64 = 60.0;
/// Maximum tasks of one `DescribeTasks` request.
const MAX_TASKS: usize = 100;
/// Shortest interval between two polls.
const MIN_INTERVAL: Duration = Duration::from_millis(500);

/// Follows the ECS services of one stack operation.
#[derive(Default)]
pub struct Diagnosis {
    /// ARNs of the stopped tasks that were reported.
    reported: HashSet<String>,
    rollouts: HashMap<String, Rollout>,
    detector: CrashLoopDetector,
    countdown: Countdown,
    placement: PlacementDetector,
    last: Option<StoppedTask>,
    polled: Option<Duration>,
}

/// An event of an ECS service.
#[derive(Debug, Clone)]
pub enum EcsEvent {
    /// The rollout has changed; `resource` is the service's logical ID.
    Rollout {
        /// The logical ID of the service.
        resource: String,
        /// Its counts of tasks.
        rollout: Rollout,
    },
    /// A task has stopped; `times` tasks of its revision have stopped in this way so far.
    TaskStopped {
        /// The last one.
        task: StoppedTask,
        /// The number of tasks that stopped for this reason.
        times: u32,
    },
}

/// The news of one poll.
#[derive(Debug, Default)]
pub struct DiagnosisProgress {
    /// The news since the last poll, oldest first.
    pub events: Vec<EcsEvent>,
    /// A service that cannot start, if one was found.
    pub crash_loop: Option<CrashLoop>,
    /// A service that waits for a quota, if one was found.
    pub unplaced: Option<Unplaced>,
}

/// A service whose tasks end in the same way again and again.
#[derive(Debug, Clone)]
pub struct CrashLoop {
    /// The service's logical ID.
    pub resource: String,
    /// The number of its tasks that stopped for the same reason.
    pub times: u32,
    /// The last one of them.
    pub task: StoppedTask,
    /// The circuit breaker of its deployment, if it is enabled.
    pub breaker: Option<CircuitBreaker>,
}

impl Diagnosis {
    /// Returns the task that stopped last, if one did.
    pub fn last(&self) -> Option<StoppedTask> {
        self.last.clone()
    }

    /// Reads the state of the services that the events name. Does nothing shortly after the last poll; what cannot be read is only
    /// logged.
    pub async fn poll(&mut self, aws: &Session, events: &[StackEvent]) -> DiagnosisProgress {
        let interval = aws.poll_interval().max(MIN_INTERVAL);
        if self.polled.is_some_and(|at| aws.clock().since(at) < interval) {
            return DiagnosisProgress::default();
        }
        self.poll_now(aws, events).await
    }

    /// Does the same shortly after the last poll, too: when tasks and logs are about to be deleted.
    pub async fn poll_now(&mut self, aws: &Session, events: &[StackEvent]) -> DiagnosisProgress {
        self.polled = Some(aws.clock().now());
        let start = events.first().map_or(0.0, |event| event.time);
        let mut progress = DiagnosisProgress::default();
        for (resource, arn) in services(events) {
            let Some((cluster, service)) = service_of(arn) else {
                continue;
            };
            if let Err(error) = self.rollout(aws, resource, cluster, arn, &mut progress).await {
                tracing::debug!(%error, service, "cannot read the rollout");
            }
            let service = Service {
                resource,
                cluster,
                name: service,
                arn,
            };
            if let Err(error) = self.stopped_tasks(aws, service, start, &mut progress).await {
                tracing::debug!(%error, service = service.name, "cannot read the stopped tasks");
            }
        }
        progress
    }

    /// Reports the rollout of a service if it has changed, and records healthy tasks.
    async fn rollout(
        &mut self,
        aws: &Session,
        resource: &str,
        cluster: &str,
        arn: &str,
        progress: &mut DiagnosisProgress,
    ) -> Result<()> {
        let request = aws.ecs.describe_services().cluster(cluster).services(arn);
        let response = request.send().await?;
        let Some(service) = response.services().first() else {
            return Ok(());
        };
        let name = service.service_name().unwrap_or(arn);
        if let Some(reason) = self.placement.observe(service, aws.clock().now()) {
            progress.unplaced.get_or_insert(Unplaced {
                resource: resource.to_owned(),
                service: name.to_owned(),
                reason,
            });
        }
        let mut targets = Vec::new();
        for balancer in service.load_balancers() {
            let alternate = balancer.advanced_configuration();
            let alternate = alternate.and_then(|advanced| advanced.alternate_target_group_arn());
            for group in balancer.target_group_arn().into_iter().chain(alternate) {
                targets.extend(elb::target_states(aws, group).await.unwrap_or_default());
            }
        }
        let mut rollout = Rollout::new(service, targets);
        if let Some(traffic) = traffic::traffic(aws, cluster, service).await? {
            rollout.traffic = Some(self.countdown.of(arn, traffic, aws.clock().now()));
        }
        let known = self.rollouts.get(arn);
        // A completed rollout is reported only after it was in progress.
        if known != Some(&rollout) && (rollout.is_in_progress() || known.is_some()) {
            progress.events.push(EcsEvent::Rollout {
                resource: resource.to_owned(),
                rollout: rollout.clone(),
            });
            self.rollouts.insert(arn.to_owned(), rollout);
        }
        for task in tasks(aws, cluster, name, DesiredStatus::Running, &HashSet::new()).await? {
            if is_healthy(&task) {
                self.detector
                    .record_healthy(task.task_definition_arn().unwrap_or_default());
            }
        }
        Ok(())
    }

    async fn stopped_tasks(
        &mut self,
        aws: &Session,
        service: Service<'_>,
        start: f64,
        progress: &mut DiagnosisProgress,
    ) -> Result<()> {
        let (cluster, name) = (service.cluster, service.name);
        let mut found = tasks(aws, cluster, name, DesiredStatus::Stopped, &self.reported).await?;
        found.retain(|task| task.last_status() == Some("STOPPED"));
        found.sort_by_key(|task| {
            task.stopped_at()
                .map_or(0, aws_sdk_cloudformation::primitives::DateTime::secs)
        });
        for task in &found {
            self.reported.insert(task.task_arn().unwrap_or_default().to_owned());
            let Some(mut stopped) = StoppedTask::new(name, task, start) else {
                continue;
            };
            let revision = task.task_definition_arn().unwrap_or_default();
            if is_healthy(task) {
                self.detector.record_healthy(revision);
            }
            stopped.log = logs::task_log(aws, task, MAX_LOG_LINES).await.unwrap_or_default();
            let times = self
                .detector
                .record_stopped(revision, &stopped.reason, stopped.exit_code);
            progress.events.push(EcsEvent::TaskStopped {
                task: stopped.clone(),
                times,
            });
            if self.detector.is_crash_loop(revision, times) {
                let breaker = self.rollouts.get(service.arn).and_then(|rollout| rollout.breaker);
                progress.crash_loop.get_or_insert(CrashLoop {
                    resource: service.resource.to_owned(),
                    times,
                    task: stopped.clone(),
                    breaker,
                });
            }
            self.last = Some(stopped);
        }
        Ok(())
    }
}

/// A service of the operation.
#[derive(Clone, Copy)]
struct Service<'a> {
    /// Its logical ID.
    resource: &'a str,
    cluster: &'a str,
    name: &'a str,
    arn: &'a str,
}

/// Returns logical ID and ARN of each ECS service that the events name.
fn services(events: &[StackEvent]) -> Vec<(&str, &str)> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for event in events {
        let named = event.resource_type == "AWS::ECS::Service" && !event.physical_id.is_empty();
        if named && !found.iter().any(|(_, arn)| *arn == event.physical_id) {
            found.push((&event.logical_id, &event.physical_id));
        }
    }
    found
}

/// Returns the tasks of a service with this desired status, without those in `known`.
pub(super) async fn tasks(
    aws: &Session,
    cluster: &str,
    service: &str,
    status: DesiredStatus,
    known: &HashSet<String>,
) -> Result<Vec<Task>> {
    let list = aws.ecs.list_tasks().cluster(cluster).service_name(service);
    let response = list.desired_status(status).send().await?;
    let mut arns = response.task_arns.unwrap_or_default();
    arns.retain(|arn| !known.contains(arn));
    arns.truncate(MAX_TASKS);
    if arns.is_empty() {
        return Ok(Vec::new());
    }
    let described = aws.ecs.describe_tasks().cluster(cluster).set_tasks(Some(arns));
    Ok(described.send().await?.tasks.unwrap_or_default())
}

/// Returns whether a task shows that its revision can start.
fn is_healthy(task: &Task) -> bool {
    match task.health_status() {
        Some(HealthStatus::Healthy) => true,
        Some(HealthStatus::Unhealthy) => false,
        _ => task.started_at().is_some_and(|started| {
            let end = task.stopped_at().map_or_else(
                || time::OffsetDateTime::now_utc().unix_timestamp() as f64,
                aws_sdk_cloudformation::primitives::DateTime::as_secs_f64,
            );
            end - started.as_secs_f64() > HEALTHY_AFTER && !stopped_task::is_failure(task)
        }),
    }
}
