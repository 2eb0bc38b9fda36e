//! The containers of one task: started in the order of their dependencies, and stopped in the reverse order.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::container_monitor::RunningContainer;
use super::dependencies::{Observed, Readiness};
use super::launch::{self, PreparedContainer};
use super::members::{list, text};
use super::memory_limits::MemoryLimits;
use super::model::{ContainerState, Status, Task, update_task};
use super::service_discovery;
use super::state::EcsState;
use crate::runtime::task::ExitStatus;
use crate::runtime::task::memory::Usage;
use crate::runtime::task::process::Container;
use crate::{AwsError, Context};

const MONITOR_INTERVAL: Duration = Duration::from_millis(100);
/// The reason of a container that exceeds its memory ("Amazon ECS stopped tasks error messages").
pub const OUT_OF_MEMORY: &str = "OutOfMemoryError: Container killed due to memory usage";

/// The reason why the containers of a task are to be stopped.
pub enum End {
    /// The task was asked to stop.
    Requested,
    /// A container cannot be started.
    NotStarted(String),
    /// An essential container has ended.
    EssentialExited(String),
}

pub struct TaskContainers {
    /// Containers that wait for others.
    waiting: Vec<PreparedContainer>,
    running: Vec<RunningContainer>,
    limits: MemoryLimits,
    /// The last reading of the memory.
    usage: Option<Arc<Usage>>,
}

impl TaskContainers {
    /// Prepares every container, and adopts those that run already.
    ///
    /// # Errors
    /// The reason why a container cannot be started.
    pub async fn prepare(cx: &Context, task: &Task, definition: &Value) -> anyhow::Result<Self> {
        let (mut waiting, mut running) = (Vec::new(), Vec::new());
        for container in list(definition, "containerDefinitions") {
            let name = text(container, "name");
            let state = task.containers.iter().find(|one| Some(one.name.as_str()) == name);
            let prepared = launch::prepare(cx, task, definition, container).await?;
            let folder = prepared.folder(cx, task);
            // The second one is a supervisor that the last run of the endpoint started and did not record.
            let supervisor = state
                .and_then(|state| state.supervisor)
                .or_else(|| Container::supervisor_in(&folder));
            let Some(supervisor) = supervisor else {
                waiting.push(prepared);
                continue;
            };
            let container = Container {
                folder: folder.clone(),
                supervisor,
            };
            record_start(cx, task, &prepared.name, &container)?;
            let is_healthy = state.is_some_and(|state| state.health == "HEALTHY");
            running.push(RunningContainer::new(prepared, container, &folder, is_healthy));
        }
        Ok(Self {
            waiting,
            running,
            limits: MemoryLimits::of(definition),
            usage: None,
        })
    }

    /// Starts every container whose dependencies are met.
    ///
    /// # Errors
    /// The reason why a container cannot be started.
    async fn start_ready(&mut self, cx: &Context, task: &Task) -> anyhow::Result<()> {
        let mut n = 0;
        while let Some(prepared) = self.waiting.get(n) {
            if !self.is_ready(prepared)? {
                n += 1;
                continue;
            }
            let prepared = self.waiting.remove(n);
            let folder = prepared.folder(cx, task);
            std::fs::create_dir_all(&folder)?;
            service_discovery::write_hosts_file(cx, task, &folder)?;
            let container = prepared.start(cx, task).await?;
            record_start(cx, task, &prepared.name, &container)?;
            self.running
                .push(RunningContainer::new(prepared, container, &folder, false));
            // A container before it may wait for this one.
            n = 0;
        }
        Ok(())
    }

    fn is_ready(&self, prepared: &PreparedContainer) -> anyhow::Result<bool> {
        let mut is_ready = true;
        for dependency in &prepared.depends_on {
            let running = self
                .running
                .iter()
                .find(|one| one.prepared.name == dependency.container);
            match dependency
                .condition
                .readiness(running.map_or_else(Observed::default, RunningContainer::observed))
            {
                Readiness::Ready => {}
                Readiness::Waiting => is_ready = false,
                Readiness::Failed(reason) => bail!(
                    "dependency graph: failed to resolve the container ordering dependency [{}] for target [{}] as {reason}",
                    dependency.container,
                    prepared.name
                ),
            }
        }
        Ok(is_ready)
    }

    /// Starts the containers, forwards their logs and checks their health, until an essential one ends or the task is asked to stop. Calls
    /// `started` once all of them are started.
    pub async fn run(
        &mut self,
        cx: &Context,
        task: &Task,
        token: &CancellationToken,
        started: impl AsyncFnOnce() -> Result<(), AwsError>,
    ) -> Result<End, AwsError> {
        let (results, mut completed) = mpsc::channel::<(usize, bool)>(16);
        let mut started = Some(started);
        while !token.is_cancelled() {
            if let Err(error) = self.start_ready(cx, task).await {
                return Ok(End::NotStarted(format!("{error:#}")));
            }
            if self.waiting.is_empty()
                && let Some(started) = started.take()
            {
                started().await?;
            }
            while let Ok((n, passed)) = completed.try_recv() {
                self.running[n].apply_health_result(cx, task, passed)?;
            }
            for (n, running) in self.running.iter_mut().enumerate() {
                running.forward_logs(cx, false);
                if let Some(outcome) = running.new_exit(cx) {
                    let reason = outcome.reason.clone();
                    record_exit(cx, task, running, outcome)?;
                    if running.prepared.essential {
                        return Ok(match reason {
                            Some(reason) => End::NotStarted(format!("CannotStartContainerError: {reason}")),
                            None if running.container.ran_out_of_memory() => End::EssentialExited(OUT_OF_MEMORY.into()),
                            None => End::EssentialExited("Essential container in task exited".into()),
                        });
                    }
                }
                running.run_health_check(n, &results);
            }
            self.check_memory(cx);
            tokio::select! {
                () = token.cancelled() => {}
                () = tokio::time::sleep(MONITOR_INTERVAL) => {}
            }
        }
        Ok(End::Requested)
    }

    /// Enforces the memory limits at each new reading of the memory.
    fn check_memory(&mut self, cx: &Context) {
        let usage = cx.extension::<EcsState>().memory_usage();
        if self.usage.as_ref().is_none_or(|last| !Arc::ptr_eq(last, &usage)) {
            self.limits.enforce(&usage, &self.running);
            self.usage = Some(usage);
        }
    }

    pub fn is_any_running(&self) -> bool {
        self.running.iter().any(|one| one.container.exit_status().is_none())
    }

    pub fn has(&self, name: &str) -> bool {
        self.running.iter().any(|one| one.prepared.name == name)
    }

    /// Stops all containers, each after those that depend on it.
    pub async fn stop(mut self, cx: &Context, task: &Task) -> Result<(), AwsError> {
        while !self.running.is_empty() {
            let needed: Vec<String> = self
                .running
                .iter()
                .flat_map(|one| {
                    one.prepared
                        .depends_on
                        .iter()
                        .map(|dependency| dependency.container.clone())
                })
                .collect();
            let (rest, mut last): (Vec<_>, Vec<_>) = self
                .running
                .into_iter()
                .partition(|one| needed.contains(&one.prepared.name));
            self.running = rest;
            let ends = last.iter().map(|one| one.container.stop(one.prepared.stop_timeout));
            let outcomes = futures::future::join_all(ends).await;
            for (running, outcome) in last.iter_mut().zip(outcomes) {
                running.forward_logs(cx, true);
                record_exit(cx, task, running, outcome)?;
            }
        }
        Ok(())
    }
}

fn record_start(cx: &Context, task: &Task, name: &str, container: &Container) -> Result<(), AwsError> {
    update(cx, task, name, |state| {
        state.supervisor = Some(container.supervisor);
        state.status = Status::Running;
    })
}

fn record_exit(cx: &Context, task: &Task, running: &RunningContainer, outcome: ExitStatus) -> Result<(), AwsError> {
    let reason = if running.container.ran_out_of_memory() {
        Some(OUT_OF_MEMORY.to_owned())
    } else {
        outcome
            .reason
            .map(|reason| format!("CannotStartContainerError: {reason}"))
    };
    update(cx, task, &running.prepared.name, |state| {
        state.status = Status::Stopped;
        state.exit_code = outcome.code;
        state.reason = reason;
    })
}

/// Changes the record of a container.
pub fn update(
    cx: &Context,
    task: &Task,
    container: &str,
    change: impl FnOnce(&mut ContainerState),
) -> Result<(), AwsError> {
    update_task(cx, &task.id, |task| {
        if let Some(state) = task.containers.iter_mut().find(|one| one.name == container) {
            change(state);
        }
    })
}
