//! A container while it runs: its output goes to its log, its health check decides how it is.

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Ecs;
use super::drive::edit;
use super::launch::Prepared;
use super::model::{self, Task};
use crate::records::now;
use crate::runtime::task::launch_request::Command;
use crate::runtime::task::output::Output;
use crate::runtime::task::process::Container;
use crate::service::logs;
use crate::{AwsError, Context};

/// A container of this task that was started.
pub(super) struct Live {
    pub prepared: Prepared,
    pub container: Container,
    output: Option<Output>,
    healthy: Health,
}

struct Health {
    bad: u32,
    next: Instant,
    running: bool,
    /// Whether it was ever healthy.
    known: bool,
    begun: Instant,
}

impl Live {
    /// A container that was started, or taken over; its output is in `folder`.
    pub fn begin(prepared: Prepared, container: Container, folder: &Path) -> Self {
        let now = Instant::now();
        Self {
            prepared,
            container,
            output: Output::open(folder).ok(),
            healthy: Health {
                bad: 0,
                next: now,
                running: false,
                known: false,
                begun: now,
            },
        }
    }

    /// Sends what the container wrote to its log.
    pub fn pump(&mut self, cx: &Context, last: bool) {
        let Some(output) = &mut self.output else { return };
        let lines = match output.lines(last) {
            Ok(lines) if !lines.is_empty() => lines,
            _ => return,
        };
        let Some(log) = &self.prepared.log else { return };
        let at = now();
        let events: Vec<(i64, String)> = lines.into_iter().map(|line| (at, line)).collect();
        if let Err(error) = logs::append(cx, &log.group, &log.stream, &events) {
            tracing::warn!(log.group = %log.group, %error, "a container's output is lost");
        }
    }

    /// Runs the health check when it is due. While a container is new it is asked every second at most.
    pub fn probe(&mut self, n: usize, said: &mpsc::Sender<(usize, bool)>) {
        let Some(check) = self.prepared.check.clone() else {
            return;
        };
        if self.healthy.running || Instant::now() < self.healthy.next {
            return;
        }
        self.healthy.running = true;
        let (container, prepared, said) = (self.container.clone(), self.prepared.clone(), said.clone());
        tokio::spawn(async move {
            let command = Command {
                argv: check.argv,
                ..prepared.command
            };
            let well = container
                .exec_succeeds(&prepared.rootfs, command, check.timeout)
                .await
                .unwrap_or(false);
            let _ = said.send((n, well)).await;
        });
    }

    /// Takes a health check's answer into account.
    pub fn judge(&mut self, cx: &Context, task: &Task, well: bool) -> Result<(), AwsError> {
        let Some(check) = &self.prepared.check else {
            return Ok(());
        };
        self.healthy.running = false;
        let age = self.healthy.begun.elapsed();
        self.healthy.bad = if well || age < check.start_period {
            0
        } else {
            self.healthy.bad + 1
        };
        self.healthy.known |= well;
        let eager = Duration::from_millis(500);
        let pause = if self.healthy.known {
            check.interval
        } else {
            check.interval.min(eager)
        };
        self.healthy.next = Instant::now() + pause;
        // Asking more often than the definition says must not make a slow start look like a failure.
        let patience = if self.healthy.known {
            Duration::ZERO
        } else {
            check.start_period + check.interval * check.retries
        };
        let verdict = match () {
            () if well => "HEALTHY",
            () if self.healthy.bad >= check.retries && age >= patience => "UNHEALTHY",
            () => return Ok(()),
        };
        let name = &self.prepared.name;
        let changed = model::task(cx, &task.id)?
            .is_some_and(|t| t.containers.iter().any(|c| &c.name == name && c.health != verdict));
        if changed {
            edit(cx, &task.id, |task| {
                if let Some(state) = task.containers.iter_mut().find(|c| &c.name == name) {
                    state.health = verdict.into();
                }
            })?;
            cx.extension::<Ecs>().wake.notify_one();
        }
        Ok(())
    }
}
