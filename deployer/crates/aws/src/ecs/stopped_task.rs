//! The reason why a task stopped, its exit code and its last log lines.

use std::fmt;

use aws_sdk_ecs::types::{Container, Task};
use serde::Serialize;

/// A task that failed while its service was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoppedTask {
    /// The name of the service.
    pub service: String,
    /// The last part of its ARN.
    pub task: String,
    /// The reason of ECS or of the container.
    pub reason: String,
    /// The exit code of the container, if it ran.
    pub exit_code: Option<i32>,
    /// The last lines of its log.
    pub log: Vec<String>,
}

impl StoppedTask {
    /// Returns a task that failed; `None` if it was stopped on purpose, or before `start` (seconds since 1970).
    pub(super) fn new(service: &str, task: &Task, start: f64) -> Option<Self> {
        let in_time = task.stopped_at().is_none_or(|at| at.as_secs_f64() >= start.floor());
        let code = task.stop_code().map(|c| c.as_str()).unwrap_or_default();
        let on_purpose = code == "UserInitiated" || code == "ServiceSchedulerInitiated" && !is_failure(task);
        (in_time && !on_purpose).then(|| Self {
            service: service.to_owned(),
            task: id(task).to_owned(),
            reason: reason(task),
            exit_code: failed_container(task).and_then(|container| container.exit_code()),
            log: Vec::new(),
        })
    }

    /// Returns the usual cause of such an end, if it is known.
    pub fn advice(&self) -> Option<&'static str> {
        let reason = self.reason.to_lowercase();
        Some(match () {
            () if reason.contains("outofmemory") => {
                "it ran out of memory: increase `memory` of the service in deployer.toml"
            }
            () if reason.contains("cannotpullcontainer") => {
                "the image could not be pulled: check that the registry has it for this platform, and that the task can reach the registry (NAT or VPC endpoints)"
            }
            () if reason.contains("unable to pull secrets") || reason.contains("unable to retrieve secret") => {
                "a secret could not be read: check that it exists, that the execution role may read it, and that the task can reach Secrets Manager (NAT or VPC endpoints)"
            }
            () if reason.contains("health check") => {
                "it runs, but its health check did not pass in time: check its log, the health path and the start period"
            }
            () if reason.contains("exec format error") => {
                "the image is for another processor architecture: compare its platform with that of the service"
            }
            () if self.exit_code == Some(137) => "it was killed (SIGKILL): out of memory, or too slow to stop",
            () => return None,
        })
    }
}

impl fmt::Display for StoppedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  the last stopped task of {}: {}", self.service, self.reason)?;
        if let Some(code) = self.exit_code {
            write!(f, " (exit code {code})")?;
        }
        if let Some(advice) = self.advice() {
            write!(f, "; {advice}")?;
        }
        if self.log.is_empty() {
            return write!(f, "; it has no log lines");
        }
        write!(f, "; its last log lines:")?;
        self.log.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// Returns the last part of a task's ARN.
fn id(task: &Task) -> &str {
    task.task_arn()
        .unwrap_or_default()
        .rsplit('/')
        .next()
        .unwrap_or_default()
}

/// Returns whether the scheduler stopped a task because it was unhealthy, and not to replace it. ECS has one stop code for both.
pub(super) fn is_failure(task: &Task) -> bool {
    let reason = task.stopped_reason().unwrap_or_default().to_lowercase();
    reason.contains("unhealthy") || reason.contains("failed") || reason.contains("health check")
}

/// Returns the container that failed, and not a sidecar that was stopped with it.
fn failed_container(task: &Task) -> Option<&Container> {
    let containers = task.containers();
    let find = |failed: &dyn Fn(&Container) -> bool| containers.iter().find(|container| failed(container));
    find(&|container| container.reason().is_some())
        .or_else(|| find(&|container| container.exit_code().is_some_and(|code| code != 0)))
        .or_else(|| find(&|container| container.exit_code().is_some()))
}

fn reason(task: &Task) -> String {
    let own = task.stopped_reason().unwrap_or("no reason given");
    match failed_container(task)
        .and_then(|container| container.reason())
        .filter(|reason| !own.contains(reason))
    {
        Some(inner) => format!("{own}: {inner}"),
        None => own.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::primitives::DateTime;
    use aws_sdk_ecs::types::TaskStopCode;

    use super::*;

    fn task(code: TaskStopCode, reason: &str, containers: &[(&str, Option<i32>, Option<&str>)]) -> Task {
        let containers = containers.iter().map(|(name, code, reason)| {
            let container = Container::builder().name(*name).set_exit_code(*code);
            container.set_reason(reason.map(str::to_owned)).build()
        });
        Task::builder()
            .task_arn("arn:aws:ecs:us-east-1:000000000000:task/shop/0a1b")
            .stop_code(code)
            .stopped_reason(reason)
            .stopped_at(DateTime::from_secs(100))
            .set_containers(Some(containers.collect()))
            .build()
    }

    fn summary(task: &Task) -> Option<(String, Option<i32>, bool)> {
        StoppedTask::new("app", task, 50.0).map(|s| (s.reason.clone(), s.exit_code, s.advice().is_some()))
    }

    #[test]
    fn every_failure_is_reported_with_its_usual_cause() {
        let memory = "OutOfMemoryError: Container killed due to memory usage";
        let exited = "Essential container in task exited";
        let sidecar = [("log", Some(0), None), ("app", Some(137), Some(memory))];
        let ended = summary(&task(TaskStopCode::EssentialContainerExited, exited, &sidecar));
        assert_eq!(ended, Some((format!("{exited}: {memory}"), Some(137), true)));

        let pull = "CannotPullContainerError: pull image manifest has been retried 1 time(s): not found";
        let ended = summary(&task(TaskStopCode::TaskFailedToStart, pull, &[("app", None, None)]));
        assert_eq!(ended, Some((pull.into(), None, true)));

        let secret = "ResourceInitializationError: unable to pull secrets or registry auth: secret not found";
        assert!(summary(&task(TaskStopCode::TaskFailedToStart, secret, &[])).is_some_and(|t| t.2));

        let health = "Task failed ELB health checks in (target-group arn:tg)";
        let ended = summary(&task(
            TaskStopCode::ServiceSchedulerInitiated,
            health,
            &[("app", Some(0), None)],
        ));
        assert_eq!(ended, Some((health.into(), Some(0), true)));
    }

    #[test]
    fn a_task_that_was_replaced_or_belongs_to_an_earlier_deployment_has_not_failed() {
        let scaling = "Scaling activity initiated by (deployment ecs-svc/1)";
        assert_eq!(
            summary(&task(TaskStopCode::ServiceSchedulerInitiated, scaling, &[])),
            None
        );
        let exited = task(TaskStopCode::EssentialContainerExited, "exited", &[]);
        assert_eq!(StoppedTask::new("app", &exited, 200.0), None);
    }
}
