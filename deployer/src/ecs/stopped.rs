//! Why a task stopped: its reason, exit code and last words, in one place.

use std::fmt;

use aws_sdk_ecs::types::{Container, Task};
use serde::Serialize;

/// A task that stopped while its service was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoppedTask {
    pub service: String,
    /// The last part of its ARN.
    pub task: String,
    pub reason: String,
    pub exit_code: Option<i32>,
    pub log: Vec<String>,
}

impl StoppedTask {
    /// What a stopped task tells of itself; none when it did nothing wrong.
    pub fn of(service: &str, task: &Task, began: f64) -> Option<Self> {
        // What an earlier deployment left is not this one's failure, and a task that was told to stop has not failed.
        let ours = task.stopped_at().is_none_or(|at| at.as_secs_f64() >= began.floor());
        let code = task.stop_code().map(|c| c.as_str()).unwrap_or_default();
        let told = code == "UserInitiated" || code == "ServiceSchedulerInitiated" && !is_blamed(task);
        (ours && !told).then(|| Self {
            service: service.to_owned(),
            task: id(task).to_owned(),
            reason: reason(task),
            exit_code: culprit(task).and_then(|container| container.exit_code()),
            log: Vec::new(),
        })
    }

    /// What such an end usually means, where that is known.
    pub fn advice(&self) -> Option<&'static str> {
        let reason = self.reason.to_lowercase();
        Some(match () {
            () if reason.contains("outofmemory") => {
                "it used more memory than it has: give the service more `memory` in deployer.toml"
            }
            () if reason.contains("cannotpullcontainer") => {
                "the image could not be fetched: is it in the registry for this platform, and has the task a way there (NAT or endpoints)?"
            }
            () if reason.contains("unable to pull secrets") || reason.contains("unable to retrieve secret") => {
                "a secret could not be read: does it exist, may the execution role read it, and has the task a way there (NAT or endpoints)?"
            }
            () if reason.contains("health check") => {
                "it runs, but does not answer as healthy in time: see its log, the health path and the start period"
            }
            () if reason.contains("exec format error") => {
                "the image is for another processor: compare its platform with the service's"
            }
            () if self.exit_code == Some(137) => "it was killed (SIGKILL): out of memory, or too slow to stop",
            () => return None,
        })
    }
}

impl fmt::Display for StoppedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  the last task of {} that stopped: {}", self.service, self.reason)?;
        if let Some(code) = self.exit_code {
            write!(f, " (exit code {code})")?;
        }
        if let Some(advice) = self.advice() {
            write!(f, "; {advice}")?;
        }
        if self.log.is_empty() {
            return write!(f, "; it left no log lines");
        }
        write!(f, "; its last log lines:")?;
        self.log.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// The last part of a task's ARN.
pub fn id(task: &Task) -> &str {
    task.task_arn()
        .unwrap_or_default()
        .rsplit('/')
        .next()
        .unwrap_or_default()
}

/// Whether the scheduler stopped a task because something was wrong with it; otherwise it is merely replaced.
pub fn is_blamed(task: &Task) -> bool {
    let reason = task.stopped_reason().unwrap_or_default().to_lowercase();
    reason.contains("unhealthy") || reason.contains("failed") || reason.contains("health check")
}

/// The container that is to blame: one that failed, not the sidecar that was ended with it.
fn culprit(task: &Task) -> Option<&Container> {
    let containers = task.containers();
    let find = |guilty: &dyn Fn(&Container) -> bool| containers.iter().find(|container| guilty(container));
    find(&|container| container.reason().is_some())
        .or_else(|| find(&|container| container.exit_code().is_some_and(|code| code != 0)))
        .or_else(|| find(&|container| container.exit_code().is_some()))
}

fn reason(task: &Task) -> String {
    let own = task.stopped_reason().unwrap_or("no reason given");
    match culprit(task)
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
            .task_arn("arn:aws:ecs:us-east-1:000000000000:task/house/0a1b")
            .stop_code(code)
            .stopped_reason(reason)
            .stopped_at(DateTime::from_secs(100))
            .set_containers(Some(containers.collect()))
            .build()
    }

    fn told(task: &Task) -> Option<(String, Option<i32>, bool)> {
        StoppedTask::of("app", task, 50.0).map(|s| (s.reason.clone(), s.exit_code, s.advice().is_some()))
    }

    #[test]
    fn every_way_to_fail_is_told_with_what_it_means() {
        let memory = "OutOfMemoryError: Container killed due to memory usage";
        let exited = "Essential container in task exited";
        let sidecar = [("log", Some(0), None), ("app", Some(137), Some(memory))];
        let ended = told(&task(TaskStopCode::EssentialContainerExited, exited, &sidecar));
        assert_eq!(ended, Some((format!("{exited}: {memory}"), Some(137), true)));

        let pull = "CannotPullContainerError: pull image manifest has been retried 1 time(s): not found";
        let ended = told(&task(TaskStopCode::TaskFailedToStart, pull, &[("app", None, None)]));
        assert_eq!(ended, Some((pull.into(), None, true)));

        let secret = "ResourceInitializationError: unable to pull secrets or registry auth: secret not found";
        assert!(told(&task(TaskStopCode::TaskFailedToStart, secret, &[])).is_some_and(|t| t.2));

        let health = "Task failed ELB health checks in (target-group arn:tg)";
        let ended = told(&task(
            TaskStopCode::ServiceSchedulerInitiated,
            health,
            &[("app", Some(0), None)],
        ));
        assert_eq!(ended, Some((health.into(), Some(0), true)));
    }

    #[test]
    fn a_task_that_was_replaced_or_belongs_to_an_earlier_deployment_has_not_failed() {
        let scaling = "Scaling activity initiated by (deployment ecs-svc/1)";
        assert_eq!(told(&task(TaskStopCode::ServiceSchedulerInitiated, scaling, &[])), None);
        let exited = task(TaskStopCode::EssentialContainerExited, "exited", &[]);
        assert_eq!(StoppedTask::of("app", &exited, 200.0), None);
    }
}
