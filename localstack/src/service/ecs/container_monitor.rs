//! A running container: its output is forwarded to its log, and its health check sets its health.

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::dependencies::{Observed, Progress};
use super::launch::PreparedContainer;
use super::model::{self, Task, update_task};
use super::state::EcsState;
use crate::records::now;
use crate::runtime::task::ExitStatus;
use crate::runtime::task::launch_request::Command;
use crate::runtime::task::output::Output;
use crate::runtime::task::process::Container;
use crate::service::logs;
use crate::{AwsError, Context};

/// The health check interval of a container that was never healthy is at most this, so that a start takes no longer than
/// it must.
const MAX_STARTUP_INTERVAL: Duration = Duration::from_millis(500);

/// A container of a task that was started or adopted.
pub(super) struct RunningContainer {
    pub prepared: PreparedContainer,
    pub container: Container,
    output: Option<Output>,
    health: Health,
    progress: Progress,
}

struct Health {
    is_healthy: bool,
    consecutive_failures: u32,
    next_check: Instant,
    check_is_running: bool,
    was_ever_healthy: bool,
    started: Instant,
}

impl RunningContainer {
    /// Returns a container whose output is in `folder`, and which was healthy before it was adopted if `is_healthy`.
    pub fn new(prepared: PreparedContainer, container: Container, folder: &Path, is_healthy: bool) -> Self {
        let now = Instant::now();
        Self {
            prepared,
            container,
            output: Output::open(folder).ok(),
            progress: Progress::Started,
            health: Health {
                is_healthy,
                consecutive_failures: 0,
                next_check: now,
                check_is_running: false,
                was_ever_healthy: false,
                started: now,
            },
        }
    }

    /// Returns the exit status of the container once, after its last output was forwarded.
    pub fn new_exit(&mut self, cx: &Context) -> Option<ExitStatus> {
        if self.has_ended() {
            return None;
        }
        let outcome = self.container.exit_status()?;
        self.forward_logs(cx, true);
        self.progress = Progress::Ended(outcome.code);
        Some(outcome)
    }

    /// Returns true once the end of the container is known.
    fn has_ended(&self) -> bool {
        matches!(self.progress, Progress::Ended(_))
    }

    /// Returns the state that other containers of the task depend on.
    pub fn observed(&self) -> Observed {
        Observed {
            progress: self.progress,
            is_healthy: self.health.is_healthy,
            is_late: self
                .prepared
                .start_timeout
                .is_some_and(|timeout| self.health.started.elapsed() >= timeout),
        }
    }

    /// Appends new output of the container to its log.
    pub fn forward_logs(&mut self, cx: &Context, last: bool) {
        let Some(output) = &mut self.output else { return };
        let lines = match output.lines(last) {
            Ok(lines) if !lines.is_empty() => lines,
            _ => return,
        };
        let Some(log) = &self.prepared.log else { return };
        let at = now();
        let events: Vec<(i64, String)> = lines.into_iter().map(|line| (at, line)).collect();
        if let Err(error) = logs::append(cx, &log.group, &log.stream, &events) {
            tracing::warn!(log.group = %log.group, %error, "cannot append a container's output to its log; the output is lost");
        }
    }

    /// Starts the health check if it is due. Its result is sent with the container's index `n`.
    pub fn run_health_check(&mut self, n: usize, results: &mpsc::Sender<(usize, bool)>) {
        let Some(check) = self.prepared.health_check.clone() else {
            return;
        };
        if self.has_ended() || self.health.check_is_running || Instant::now() < self.health.next_check {
            return;
        }
        self.health.check_is_running = true;
        let (container, prepared, results) = (self.container.clone(), self.prepared.clone(), results.clone());
        tokio::spawn(async move {
            let command = Command {
                argv: check.argv,
                ..prepared.command
            };
            let passed = container
                .exec_succeeds(&prepared.rootfs, command, check.timeout)
                .await
                .unwrap_or(false);
            let _ = results.send((n, passed)).await;
        });
    }

    /// Updates the container's health by the result of a health check.
    pub fn apply_health_result(&mut self, cx: &Context, task: &Task, passed: bool) -> Result<(), AwsError> {
        let Some(check) = &self.prepared.health_check else {
            return Ok(());
        };
        let health = &mut self.health;
        health.check_is_running = false;
        let age = health.started.elapsed();
        health.consecutive_failures = if passed || age < check.start_period {
            0
        } else {
            health.consecutive_failures + 1
        };
        health.was_ever_healthy |= passed;
        // Before the first success, checks run more often than the definition asks for. That must not make a slow start
        // a failure, so the container has the same time as with the definition's interval.
        let (interval, startup_timeout) = if health.was_ever_healthy {
            (check.interval, Duration::ZERO)
        } else {
            let timeout = check.start_period + check.interval * check.retries;
            (check.interval.min(MAX_STARTUP_INTERVAL), timeout)
        };
        health.next_check = Instant::now() + interval;
        health.is_healthy = passed || (health.is_healthy && health.consecutive_failures < check.retries);
        let status = match () {
            () if passed => "HEALTHY",
            () if health.consecutive_failures >= check.retries && age >= startup_timeout => "UNHEALTHY",
            () => return Ok(()),
        };
        let name = &self.prepared.name;
        let changed = model::task(cx, &task.id)?
            .is_some_and(|t| t.containers.iter().any(|c| &c.name == name && c.health != status));
        if changed {
            update_task(cx, &task.id, |task| {
                if let Some(state) = task.containers.iter_mut().find(|c| &c.name == name) {
                    state.health = status.into();
                }
            })?;
            cx.extension::<EcsState>().wake_scheduler();
        }
        Ok(())
    }
}
