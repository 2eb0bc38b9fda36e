//! The vCPUs of Fargate tasks, and the quota on them.

use serde_json::Value;

use super::members::text;
use super::model::{self, Task};
use super::spec::ServiceSpec;
use super::{capacity, task_definition};
use crate::{AwsError, Context};

/// The reason in the events of a service whose task cannot be placed for lack of quota, as ECS words it ("Service event
/// messages").
pub const QUOTA_REACHED: &str = "You've reached the limit on the number of vCPUs you can run concurrently.";

/// The part of Fargate that a task runs on; each has its own quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    OnDemand,
    Spot,
}

impl Class {
    fn of(spec: &ServiceSpec) -> Self {
        match capacity::provider(&spec.capacity_strategy) {
            Some("FARGATE_SPOT") => Self::Spot,
            _ => Self::OnDemand,
        }
    }

    /// Returns the code of the quota on vCPUs.
    fn quota(self) -> &'static str {
        match self {
            Self::OnDemand => "L-3032A538",
            Self::Spot => "L-36FBB829",
        }
    }
}

/// Returns the vCPUs of all tasks of a class that are not stopped.
pub fn running_vcpus(cx: &Context, class: Class) -> Result<f64, AwsError> {
    let tasks = model::tasks(cx)?;
    let live = tasks
        .iter()
        .filter(|task| task.is_live() && Class::of(&task.spec) == class);
    live.map(|task: &Task| Ok(vcpus(&task_definition::named(cx, &task.spec.task_definition)?)))
        .sum()
}

/// Returns true if one more task of a service exceeds the quota on vCPUs. Without a set value there is no quota.
pub fn exceeds_quota(cx: &Context, spec: &ServiceSpec) -> Result<bool, AwsError> {
    let class = Class::of(spec);
    let Some(quota) = cx.config().behavior.quota(class.quota()) else {
        return Ok(false);
    };
    let more = vcpus(&task_definition::named(cx, &spec.task_definition)?);
    Ok(running_vcpus(cx, class)? + more > quota)
}

/// Returns the vCPUs of a task definition: `cpu` is in units of 1/1024, or `0.5 vCPU`.
pub fn vcpus(definition: &Value) -> f64 {
    let cpu = text(definition, "cpu").unwrap_or("256").trim().to_lowercase();
    match cpu.strip_suffix("vcpu") {
        Some(vcpus) => vcpus.trim().parse().unwrap_or_default(),
        None => cpu.parse::<f64>().unwrap_or_default() / 1024.0,
    }
}

/// Returns the memory of a task definition in MiB: `memory` is in MiB, or `1 GB`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "`as` saturates, and no size of a task comes near the limits"
)]
pub fn memory(definition: &Value) -> Option<i64> {
    let memory = definition
        .get("memory")
        .and_then(crate::records::scalar)?
        .trim()
        .to_lowercase();
    match memory.strip_suffix("gb") {
        Some(gigabytes) => gigabytes
            .trim()
            .parse::<f64>()
            .ok()
            .map(|gigabytes| (gigabytes * 1024.0) as i64),
        None => memory.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cpu_is_read_in_units_and_in_vcpus() {
        let read = ["512", "1024", ".25 vCPU", "2 vCPU"].map(|cpu| vcpus(&json!({"cpu": cpu})).to_string());
        assert_eq!(read, ["0.5", "1", "0.25", "2"]);
    }
}
