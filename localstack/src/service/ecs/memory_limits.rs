//! The memory limits of a task: its own and those of its containers, in MiB.
//!
//! Fargate's are control groups. Here the endpoint reads the memory of all tasks once a second, and kills the container that exceeds a limit.

use serde_json::Value;

use super::container_monitor::RunningContainer;
use super::fargate;
use super::members::{integer, list, text};
use crate::runtime::task::memory::Usage;

/// The mechanism, as the health route shows it.
pub const MECHANISM: &str = "proportional set size of a task's processes, read every second";

/// The limits of a task, in bytes.
pub struct MemoryLimits {
    task: Option<u64>,
    /// By name.
    containers: Vec<(String, u64)>,
}

impl MemoryLimits {
    pub fn of(definition: &Value) -> Self {
        let bytes = |mib: i64| u64::try_from(mib).unwrap_or_default() << 20;
        let containers = list(definition, "containerDefinitions").iter();
        Self {
            task: fargate::memory(definition).map(bytes),
            containers: containers
                .filter_map(|one| Some((text(one, "name")?.to_owned(), bytes(integer(one.get("memory"))?))))
                .collect(),
        }
    }

    /// Kills the containers that exceed their limit, and the largest one of a task that exceeds its own.
    pub(super) fn enforce(&self, usage: &Usage, running: &[RunningContainer]) {
        let mut total = 0;
        for one in running {
            let bytes = usage.of(&one.container);
            total += bytes;
            let limit = self.containers.iter().find(|(name, _)| *name == one.prepared.name);
            // The resident size counts shared pages more than once, so it is only a reason to look closer.
            if let Some((name, limit)) = limit
                && bytes > *limit
                && usage.proportional(&one.container) > *limit
            {
                tracing::warn!(container = %name, limit, "killing a container that uses more memory than it may");
                one.container.kill_for_memory();
            }
        }
        let Some(limit) = self.task.filter(|limit| total > *limit) else {
            return;
        };
        let sizes = running.iter().map(|one| (usage.proportional(&one.container), one));
        let sizes: Vec<(u64, &RunningContainer)> = sizes.collect();
        if sizes.iter().map(|(bytes, _)| bytes).sum::<u64>() > limit
            && let Some((_, largest)) = sizes.iter().max_by_key(|(bytes, _)| *bytes)
        {
            tracing::warn!(container = %largest.prepared.name, limit, "killing the largest container of a task that uses more memory than it may");
            largest.container.kill_for_memory();
        }
    }
}
