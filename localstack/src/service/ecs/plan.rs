//! What a service's tasks should do next: decided from what is there, without touching anything.

use super::model::{Rollout, Service, Status};

/// One task as the scheduler sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub id: String,
    pub deployment: String,
    pub status: Status,
    /// Running, and healthy wherever that is checked.
    pub healthy: bool,
    /// Already told to end.
    pub stopping: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// How many tasks of the primary deployment to start.
    pub start: u32,
    pub stop: Vec<String>,
    /// Whether the primary deployment has what it wants, and nothing else is left.
    pub steady: bool,
}

/// A rolling update within minimumHealthyPercent and maximumPercent ("Amazon ECS rolling update").
pub fn plan(service: &Service, tasks: &[Seen], now: i64) -> Plan {
    let Some(primary) = service.deployments.first() else {
        return Plan {
            stop: ids(tasks.iter().filter(|t| !t.stopping)),
            ..Plan::default()
        };
    };
    let desired = if service.status == "ACTIVE" { service.desired } else { 0 };
    let (new, old): (Vec<&Seen>, Vec<&Seen>) = tasks
        .iter()
        .filter(|t| !t.stopping)
        .partition(|t| t.deployment == primary.id);
    let most = (desired * primary.wish.maximum_percent / 100).max(u32::from(desired > 0));
    let least = (desired * primary.wish.minimum_percent).div_ceil(100);
    let count = |list: &[&Seen], wanted: &dyn Fn(&Seen) -> bool| list.iter().filter(|t| wanted(t)).count() as u32;
    let mut made = Plan::default();

    let live = new.len() as u32;
    if primary.rollout == Rollout::Failed {
        made.stop = ids(new.iter().copied());
        return made;
    }
    let missing = desired.saturating_sub(live);
    let room = most.saturating_sub(live + old.len() as u32);
    if now >= primary.not_before {
        made.start = missing.min(room);
    }
    if live > desired {
        // Those that serve least go first.
        let mut order = new.clone();
        order.sort_by_key(|t| (t.healthy, t.status));
        made.stop.extend(ids(order.into_iter().take((live - desired) as usize)));
    }
    // Old tasks go as new ones come, or when there is no room for a new one, but never below the minimum.
    let healthy_new = count(&new, &|t| t.healthy).min(desired);
    let healthy_old = count(&old, &|t| t.healthy);
    let spare = (healthy_new + healthy_old).saturating_sub(least);
    let crowded = if missing > 0 && room == 0 { missing } else { 0 };
    let due = (healthy_new + old.len() as u32).saturating_sub(desired).max(crowded);
    let (serving, idle): (Vec<&Seen>, Vec<&Seen>) = old.iter().copied().partition(|t| t.healthy);
    let idle = idle.into_iter().take(due as usize);
    let idle = ids(idle);
    let rest = due.saturating_sub(idle.len() as u32).min(spare);
    made.stop.extend(idle);
    made.stop.extend(ids(serving.into_iter().take(rest as usize)));
    made.steady = healthy_new == desired && live == desired && old.is_empty();
    made
}

/// How many failed tasks end a deployment ("How the Amazon ECS deployment circuit breaker detects failures").
pub fn threshold(desired: u32) -> u32 {
    desired.div_ceil(2).clamp(3, 200)
}

/// How long to wait after so many failures in a row, in milliseconds: short at first, so that a crash at start is seen
/// within seconds.
pub fn pause(in_a_row: u32) -> i64 {
    match in_a_row {
        0 => 0,
        n => 300_i64.saturating_mul(1 << n.min(10).saturating_sub(1)).min(60_000),
    }
}

fn ids<'a>(tasks: impl Iterator<Item = &'a Seen>) -> Vec<String> {
    tasks.map(|t| t.id.clone()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::service::ecs::model::{Deployment, Wish};

    pub fn service(desired: u32, minimum_percent: u32, maximum_percent: u32) -> Service {
        let wish = Wish {
            minimum_percent,
            maximum_percent,
            ..Wish::default()
        };
        let deployment = Deployment {
            id: "new".into(),
            wish: wish.clone(),
            created: 0,
            updated: 0,
            failed_tasks: 0,
            in_a_row: 0,
            not_before: 0,
            rollout: Rollout::InProgress,
            reason: String::new(),
            last_failure: None,
        };
        Service {
            name: "s".into(),
            cluster: "c".into(),
            arn: String::new(),
            status: "ACTIVE".into(),
            wish,
            desired,
            deployments: vec![deployment],
            events: vec![],
            tags: Default::default(),
            inherited: vec![],
            properties: json!(null),
            created: 0,
        }
    }

    fn task(id: &str, deployment: &str, healthy: bool) -> Seen {
        Seen {
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
            Plan {
                start: 1,
                stop: vec![],
                steady: false
            }
        );
        let both = [old.clone(), task("n", "new", false)];
        assert_eq!(plan(&service, &both, 1), Plan::default());
        let both = [old, task("n", "new", true)];
        assert_eq!(
            plan(&service, &both, 1),
            Plan {
                start: 0,
                stop: vec!["o".into()],
                steady: false
            }
        );
        assert!(plan(&service, &both[1..], 1).steady);
    }

    #[test]
    fn without_room_the_old_goes_first_as_far_as_the_minimum_allows() {
        let tasks = [task("a", "old", true), task("b", "old", true)];
        assert_eq!(plan(&service(2, 50, 100), &tasks, 1).stop, ["a"]);
        assert!(plan(&service(2, 100, 100), &tasks, 1).stop.is_empty());
    }

    #[test]
    fn a_service_that_shrinks_keeps_its_healthy_tasks() {
        let tasks = [task("a", "new", true), task("b", "new", false), task("c", "new", true)];
        assert_eq!(plan(&service(2, 100, 200), &tasks, 1).stop, ["b"]);
    }

    #[test]
    fn nothing_starts_before_the_pause_is_over() {
        let mut service = service(1, 100, 200);
        service.deployments[0].not_before = 50;
        assert_eq!(plan(&service, &[], 49).start, 0);
        assert_eq!(plan(&service, &[], 50).start, 1);
        assert_eq!([1, 2, 3, 60].map(pause), [300, 600, 1200, 60_000]);
    }
}
