//! Follows the ECS services of a stack operation: their rollouts, and why tasks stop, read before a rollback deletes it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_ecs::types::{DesiredStatus, HealthStatus, Task};

use super::crash::Crashes;
use super::rollout::rollout;
use super::stopped::{self, StoppedTask};
use super::{service_of, serving, tail};
use crate::cloudformation::watch::Seen;
use crate::error::Result;
use crate::target::Aws;
use ui::rollout::{CircuitBreaker, Rollout};
use ui::{Event, Ui};

/// How many of a stopped task's log lines are kept.
const LINES: usize = 20;
/// A task without a health check is well when it has run so long, in seconds.
const SETTLED: f64 = 60.0;
/// How many tasks DescribeTasks takes at once.
const PAGE: usize = 100;

/// Watches the ECS services of one stack operation.
pub struct Diagnosis {
    stack: String,
    told: HashSet<String>,
    rollouts: HashMap<String, Rollout>,
    crashes: Crashes,
    last: Option<StoppedTask>,
    looked: Option<Duration>,
    shown: usize,
}

/// A service whose tasks end the same way again and again.
#[derive(Debug, Clone)]
pub struct CrashLoop {
    pub resource: String,
    pub times: u32,
    pub task: StoppedTask,
    pub breaker: Option<CircuitBreaker>,
}

impl Diagnosis {
    pub fn new(stack: &str) -> Self {
        Self {
            stack: stack.to_owned(),
            told: HashSet::new(),
            rollouts: HashMap::new(),
            crashes: Crashes::default(),
            last: None,
            looked: None,
            shown: 0,
        }
    }

    /// How much it has shown until now: it grows while something happens.
    pub fn shown(&self) -> usize {
        self.shown
    }

    /// The task that stopped last, if one did.
    pub fn last(&self) -> Option<StoppedTask> {
        self.last.clone()
    }

    /// Looks at the services that the events name, and gives a crash loop that is proved. What cannot be read is not
    /// there to tell.
    pub async fn look(&mut self, aws: &Aws, ui: &Ui, events: &[Seen]) -> Option<CrashLoop> {
        let pause = aws.pace.max(Duration::from_millis(500));
        if self.looked.is_some_and(|at| aws.clock.since(at) < pause) {
            return None;
        }
        self.look_now(aws, ui, events).await
    }

    /// The same, however short the last look is ago: for when everything is about to go.
    pub async fn look_now(&mut self, aws: &Aws, ui: &Ui, events: &[Seen]) -> Option<CrashLoop> {
        self.looked = Some(aws.clock.now());
        let began = events.first().map_or(0.0, |event| event.time);
        let mut proved = None;
        for (resource, arn) in services(events) {
            let Some((cluster, service)) = service_of(arn) else {
                continue;
            };
            if let Err(error) = self.rollout(aws, ui, resource, cluster, arn).await {
                tracing::debug!(%error, service, "cannot read the rollout");
            }
            match self.stopped(aws, ui, resource, (cluster, service), arn, began).await {
                Ok(found) => proved = proved.or(found),
                Err(error) => tracing::debug!(%error, service, "cannot read the stopped tasks"),
            }
        }
        proved
    }

    /// Shows how the service's deployments stand, when that has changed.
    async fn rollout(&mut self, aws: &Aws, ui: &Ui, resource: &str, cluster: &str, arn: &str) -> Result<()> {
        let answer = aws
            .ecs
            .describe_services()
            .cluster(cluster)
            .services(arn)
            .send()
            .await?;
        let Some(service) = answer.services().first() else {
            return Ok(());
        };
        let mut targets = Vec::new();
        for group in service.load_balancers().iter().filter_map(|b| b.target_group_arn()) {
            targets.extend(serving::targets(aws, group).await.unwrap_or_default());
        }
        let rollout = rollout(service, targets);
        let known = self.rollouts.get(arn);
        // A service that stands still is shown only if it was seen moving.
        if known != Some(&rollout) && (rollout.is_in_progress() || known.is_some()) {
            self.shown += 1;
            ui.emit(Event::Rollout {
                stack: self.stack.clone(),
                resource: resource.to_owned(),
                rollout: rollout.clone(),
            });
            self.rollouts.insert(arn.to_owned(), rollout);
        }
        let name = service.service_name().unwrap_or(arn);
        for task in tasks(aws, cluster, name, DesiredStatus::Running, &HashSet::new()).await? {
            if is_well(&task) {
                self.crashes.well(task.task_definition_arn().unwrap_or_default());
            }
        }
        Ok(())
    }

    async fn stopped(
        &mut self,
        aws: &Aws,
        ui: &Ui,
        resource: &str,
        (cluster, service): (&str, &str),
        arn: &str,
        began: f64,
    ) -> Result<Option<CrashLoop>> {
        let mut found = tasks(aws, cluster, service, DesiredStatus::Stopped, &self.told).await?;
        found.retain(|task| task.last_status() == Some("STOPPED"));
        found.sort_by_key(|task| task.stopped_at().map_or(0, |at| at.secs()));
        let mut proved = None;
        for task in &found {
            self.told.insert(task.task_arn().unwrap_or_default().to_owned());
            let Some(mut stopped) = StoppedTask::of(service, task, began) else {
                continue;
            };
            let revision = task.task_definition_arn().unwrap_or_default();
            if is_well(task) {
                self.crashes.well(revision);
            }
            stopped.log = tail::of_task(aws, task, LINES).await.unwrap_or_default();
            let times = self.crashes.note(revision, &stopped.reason, stopped.exit_code);
            self.shown += 1;
            ui.emit(Event::TaskStopped {
                service: service.to_owned(),
                task: stopped.task.clone(),
                reason: stopped.reason.clone(),
                exit_code: stopped.exit_code,
                log: stopped.log.clone(),
                times,
            });
            if self.crashes.is_proof(revision, times) {
                proved = Some(CrashLoop {
                    resource: resource.to_owned(),
                    times,
                    task: stopped.clone(),
                    breaker: self.rollouts.get(arn).and_then(|rollout| rollout.breaker),
                });
            }
            self.last = Some(stopped);
        }
        Ok(proved)
    }
}

/// Logical id and ARN of each ECS service that the events name.
fn services(events: &[Seen]) -> Vec<(&str, &str)> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for event in events {
        let named = event.kind == "AWS::ECS::Service" && !event.physical.is_empty();
        if named && !found.iter().any(|(_, arn)| *arn == event.physical) {
            found.push((&event.resource, &event.physical));
        }
    }
    found
}

/// The tasks of a service that are to be in this state, without those that are known.
pub(super) async fn tasks(
    aws: &Aws,
    cluster: &str,
    service: &str,
    status: DesiredStatus,
    known: &HashSet<String>,
) -> Result<Vec<Task>> {
    let list = aws.ecs.list_tasks().cluster(cluster).service_name(service);
    let answer = list.desired_status(status).send().await?;
    let mut arns = answer.task_arns.unwrap_or_default();
    arns.retain(|arn| !known.contains(arn));
    arns.truncate(PAGE);
    if arns.is_empty() {
        return Ok(Vec::new());
    }
    let described = aws.ecs.describe_tasks().cluster(cluster).set_tasks(Some(arns));
    Ok(described.send().await?.tasks.unwrap_or_default())
}

/// Whether a task has shown that its revision can start.
fn is_well(task: &Task) -> bool {
    match task.health_status() {
        Some(HealthStatus::Healthy) => true,
        Some(HealthStatus::Unhealthy) => false,
        _ => task.started_at().is_some_and(|started| {
            let end = task.stopped_at().map_or_else(
                || time::OffsetDateTime::now_utc().unix_timestamp() as f64,
                |at| at.as_secs_f64(),
            );
            end - started.as_secs_f64() > SETTLED && !stopped::is_blamed(task)
        }),
    }
}
