//! Why a service does not come up: its stopped tasks, with exit code and last log lines, read before a rollback ends.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use aws_sdk_ecs::types::{DesiredStatus, Task};
use serde::Serialize;

use super::{service_of, tail};
use crate::cloudformation::watch::Seen;
use crate::error::Result;
use crate::target::Aws;
use crate::ui::{Event, Ui};

/// How many of a stopped task's log lines are kept.
const LINES: usize = 20;
/// A service that crashes again and again says the same each time.
const SHOWN: usize = 2;

/// A task that stopped while its service was deployed.
#[derive(Debug, Clone, Serialize)]
pub struct StoppedTask {
    pub service: String,
    pub reason: String,
    pub exit_code: Option<i32>,
    pub log: Vec<String>,
}

impl fmt::Display for StoppedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  the last task of {} that stopped: {}", self.service, self.reason)?;
        if let Some(code) = self.exit_code {
            write!(f, " (exit code {code})")?;
        }
        if self.log.is_empty() {
            return write!(f, "; it left no log lines");
        }
        write!(f, "; its last log lines:")?;
        self.log.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// Watches the ECS services of one stack operation.
#[derive(Default)]
pub struct Diagnosis {
    tasks: HashSet<String>,
    last: Option<StoppedTask>,
    looked: Option<Instant>,
}

impl Diagnosis {
    /// The task that stopped last, if one did.
    pub fn last(&self) -> Option<StoppedTask> {
        self.last.clone()
    }

    /// Looks for newly stopped tasks of the services that the events name. What cannot be read is not there to tell.
    pub async fn look(&mut self, aws: &Aws, ui: &Ui, events: &[Seen]) {
        let pause = aws.pace.max(Duration::from_millis(500));
        if self.looked.is_some_and(|at| at.elapsed() < pause) {
            return;
        }
        self.looked = Some(Instant::now());
        let arns: HashSet<&str> = events
            .iter()
            .filter(|e| e.kind == "AWS::ECS::Service")
            .map(|e| e.physical.as_str())
            .collect();
        let began = events.first().map_or(0.0, |event| event.time);
        for (cluster, service) in arns.into_iter().filter_map(service_of) {
            if let Err(error) = self.stopped(aws, ui, cluster, service, began).await {
                tracing::debug!(%error, service, "cannot read the stopped tasks");
            }
        }
    }

    async fn stopped(&mut self, aws: &Aws, ui: &Ui, cluster: &str, service: &str, began: f64) -> Result<()> {
        let list = aws
            .ecs
            .list_tasks()
            .cluster(cluster)
            .service_name(service)
            .desired_status(DesiredStatus::Stopped);
        let arns: Vec<String> = list
            .send()
            .await?
            .task_arns
            .unwrap_or_default()
            .into_iter()
            .filter(|a| !self.tasks.contains(a))
            .collect();
        if arns.is_empty() {
            return Ok(());
        }
        let described = aws
            .ecs
            .describe_tasks()
            .cluster(cluster)
            .set_tasks(Some(arns))
            .send()
            .await?;
        let mut tasks: Vec<&Task> = described
            .tasks()
            .iter()
            .filter(|task| task.last_status() == Some("STOPPED"))
            .collect();
        tasks.sort_by_key(|task| task.stopped_at().map_or(0, |at| at.secs()));
        for task in tasks {
            self.tasks.insert(task.task_arn().unwrap_or_default().to_owned());
            // What an earlier deployment left is not this one's failure, and a task that was told to stop has not failed.
            let ours = task.stopped_at().is_none_or(|at| at.as_secs_f64() >= began.floor());
            let code = task.stop_code().map(|c| c.as_str()).unwrap_or_default();
            if !ours || code == "UserInitiated" || code == "ServiceSchedulerInitiated" && healthy(task) {
                continue;
            }
            let stopped = StoppedTask {
                service: service.to_owned(),
                reason: reason(task),
                exit_code: task.containers().iter().find_map(|container| container.exit_code()),
                log: tail::of_task(aws, task, LINES).await.unwrap_or_default(),
            };
            if self.tasks.len() <= SHOWN {
                let StoppedTask {
                    service,
                    reason,
                    exit_code,
                    log,
                } = stopped.clone();
                ui.emit(Event::TaskStopped {
                    service,
                    reason,
                    exit_code,
                    log,
                });
            }
            self.last = Some(stopped);
        }
        Ok(())
    }
}

/// Whether a task that its scheduler stopped had done nothing wrong: it is being replaced.
fn healthy(task: &Task) -> bool {
    let reason = task.stopped_reason().unwrap_or_default().to_lowercase();
    !reason.contains("unhealthy") && !reason.contains("failed") && !reason.contains("health check")
}

fn reason(task: &Task) -> String {
    let own = task.stopped_reason().unwrap_or("no reason given");
    match task
        .containers()
        .iter()
        .find_map(|container| container.reason())
        .filter(|reason| !own.contains(reason))
    {
        Some(inner) => format!("{own}: {inner}"),
        None => own.to_owned(),
    }
}
