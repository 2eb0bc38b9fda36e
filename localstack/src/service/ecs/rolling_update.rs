//! The next step of a service's rolling update, computed from its tasks without side effects.

use super::model::{RolloutState, Service, Status};

/// A task as the scheduler sees it.
#[derive(Debug, Clone)]
pub struct TaskView {
    pub id: String,
    pub deployment: String,
    pub status: Status,
    /// Running, and passing its health checks if it has any.
    pub healthy: bool,
    /// Already asked to stop.
    pub stopping: bool,
}

/// One step of a deployment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The number of tasks of the primary deployment to start.
    pub start: u32,
    /// The number of tasks of the deployment before it to start, while requests move from it.
    pub start_former: u32,
    /// The IDs of the tasks to stop.
    pub stop: Vec<String>,
    /// True if the primary deployment has its desired tasks and no other task is left.
    pub steady: bool,
}

/// Returns the next step within minimumHealthyPercent and maximumPercent ("Amazon ECS rolling update").
pub fn plan(service: &Service, tasks: &[TaskView], now: i64) -> Step {
    let Some(primary) = service.deployments.first() else {
        return Step {
            stop: ids(tasks.iter().filter(|t| !t.stopping)),
            ..Step::default()
        };
    };
    let desired = if service.status == "ACTIVE" { service.desired } else { 0 };
    let (new, old): (Vec<&TaskView>, Vec<&TaskView>) = tasks
        .iter()
        .filter(|t| !t.stopping)
        .partition(|t| t.deployment == primary.id);
    let max_tasks = (desired * primary.spec.maximum_percent / 100).max(u32::from(desired > 0));
    let min_healthy = (desired * primary.spec.minimum_percent).div_ceil(100);
    let healthy = |list: &[&TaskView]| count(list.iter().filter(|t| t.healthy));
    let mut next = Step::default();

    let live = count(new.iter());
    if primary.rollout_state == RolloutState::Failed {
        next.stop = ids(new.iter().copied());
        return next;
    }
    let missing = desired.saturating_sub(live);
    let free = max_tasks.saturating_sub(live + count(old.iter()));
    if now >= primary.retry_after {
        next.start = missing.min(free);
    }
    if live > desired {
        // Unhealthy tasks are stopped first.
        let mut order = new.clone();
        order.sort_by_key(|t| (t.healthy, t.status));
        next.stop.extend(ids(order.into_iter().take((live - desired) as usize)));
    }
    // Old tasks are stopped as new ones become healthy, or when the maximum allows no new task, but never below the
    // minimum.
    let healthy_new = healthy(&new).min(desired);
    let surplus = (healthy_new + healthy(&old)).saturating_sub(min_healthy);
    let blocked = if missing > 0 && free == 0 { missing } else { 0 };
    let due = (healthy_new + count(old.iter())).saturating_sub(desired).max(blocked);
    let (serving, unhealthy): (Vec<&TaskView>, Vec<&TaskView>) = old.iter().copied().partition(|t| t.healthy);
    let unhealthy = ids(unhealthy.into_iter().take(due as usize));
    let rest = due.saturating_sub(count(unhealthy.iter())).min(surplus);
    next.stop.extend(unhealthy);
    next.stop.extend(ids(serving.into_iter().take(rest as usize)));
    next.steady = healthy_new == desired && live == desired && old.is_empty();
    next
}

/// Returns the number of failed tasks that fails a deployment ("How the Amazon ECS deployment circuit breaker detects
/// failures").
pub fn failure_threshold(desired: u32) -> u32 {
    desired.div_ceil(2).clamp(3, 200)
}

/// Returns the delay before the next start after consecutive failures. It is short at first, so that a crash at start is
/// visible within seconds.
pub fn retry_delay_ms(consecutive_failures: u32) -> i64 {
    match consecutive_failures {
        0 => 0,
        n => 300_i64.saturating_mul(1 << n.min(10).saturating_sub(1)).min(60_000),
    }
}

/// Counts tasks in the type of desired counts; there are far fewer than 2^32.
fn count<T>(tasks: impl Iterator<Item = T>) -> u32 {
    u32::try_from(tasks.count()).unwrap_or(u32::MAX)
}

pub fn ids<'a>(tasks: impl Iterator<Item = &'a TaskView>) -> Vec<String> {
    tasks.map(|t| t.id.clone()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::service::ecs::model::Deployment;
    use crate::service::ecs::spec::ServiceSpec;

    pub fn service(desired: u32, minimum_percent: u32, maximum_percent: u32) -> Service {
        let spec = ServiceSpec {
            minimum_percent,
            maximum_percent,
            ..ServiceSpec::default()
        };
        let deployment = Deployment {
            id: "new".into(),
            spec: spec.clone(),
            created: 0,
            updated: 0,
            failed_tasks: 0,
            consecutive_failures: 0,
            retry_after: 0,
            rollout_state: RolloutState::InProgress,
            reason: String::new(),
            last_failure: None,
            target_group: None,
            shift: None,
            rolled_back: false,
            alarms_read: false,
            ignored_alarms: vec![],
            triggered_alarms: vec![],
        };
        Service {
            name: "s".into(),
            cluster: "c".into(),
            arn: String::new(),
            status: "ACTIVE".into(),
            spec,
            desired,
            deployments: vec![deployment],
            events: vec![],
            tags: indexmap::IndexMap::default(),
            inherited: vec![],
            properties: json!(null),
            created: 0,
            client_token: None,
        }
    }

    fn task(id: &str, deployment: &str, healthy: bool) -> TaskView {
        TaskView {
            id: id.into(),
            deployment: deployment.into(),
            status: Status::Running,
            healthy,
            stopping: false,
        }
    }

    #[test]
    fn a_rolling_update_starts_the_new_before_it_stops_the_old() {
        let service = service(1, 100, 200);
        let old = task("o", "old", true);
        assert_eq!(
            plan(&service, std::slice::from_ref(&old), 1),
            Step {
                start: 1,
                ..Step::default()
            }
        );
        let both = [old.clone(), task("n", "new", false)];
        assert_eq!(plan(&service, &both, 1), Step::default());
        let both = [old, task("n", "new", true)];
        assert_eq!(
            plan(&service, &both, 1),
            Step {
                stop: vec!["o".into()],
                ..Step::default()
            }
        );
        assert!(plan(&service, &both[1..], 1).steady);
    }

    #[test]
    fn at_the_maximum_an_old_task_stops_first_if_the_minimum_allows_it() {
        let tasks = [task("a", "old", true), task("b", "old", true)];
        assert_eq!(plan(&service(2, 50, 100), &tasks, 1).stop, ["a"]);
        assert!(plan(&service(2, 100, 100), &tasks, 1).stop.is_empty());
    }

    #[test]
    fn scaling_in_keeps_the_healthy_tasks() {
        let tasks = [task("a", "new", true), task("b", "new", false), task("c", "new", true)];
        assert_eq!(plan(&service(2, 100, 200), &tasks, 1).stop, ["b"]);
    }

    #[test]
    fn no_task_starts_before_the_retry_delay_is_over() {
        let mut service = service(1, 100, 200);
        service.deployments[0].retry_after = 50;
        assert_eq!(plan(&service, &[], 49).start, 0);
        assert_eq!(plan(&service, &[], 50).start, 1);
        assert_eq!([1, 2, 3, 60].map(retry_delay_ms), [300, 600, 1200, 60_000]);
    }
}
