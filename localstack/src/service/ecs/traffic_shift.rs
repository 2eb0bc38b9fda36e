//! Deployments that move requests from one target group to another in steps, computed without side effects ("Amazon ECS
//! blue/green, linear and canary deployments").

use super::model::{Deployment, RolloutState, Service, ShiftStage, TrafficShift};
use super::rolling_update::{Step, TaskView, ids};
use super::spec::{LoadBalancer, ServiceSpec, Strategy};

/// Returns the target group of a new deployment's tasks and the movement of requests to it. The first deployment of a service has
/// nothing to move from.
pub fn begin(service: &Service, spec: &ServiceSpec, now: i64) -> (Option<String>, Option<TrafficShift>) {
    let Some((balancer, alternate)) = alternating(spec) else {
        return (None, None);
    };
    let declared = &balancer.target_group;
    let Some(serving) = service.deployments.iter().find(|d| is_serving(d)) else {
        return (None, None);
    };
    let blue = target_group(serving).unwrap_or(declared).to_owned();
    let green = if blue == *declared { alternate } else { declared };
    let shift = TrafficShift {
        stage: ShiftStage::ScaleUp,
        blue,
        green: green.clone(),
        percent: 0.0,
        since: now,
    };
    (Some(green.clone()), Some(shift))
}

/// Returns the load balancer between whose target groups deployments alternate, with the second one.
fn alternating(spec: &ServiceSpec) -> Option<(&LoadBalancer, &String)> {
    if spec.strategy == Strategy::Rolling {
        return None;
    }
    let mut balancers = spec.load_balancers.iter();
    balancers.find_map(|b| Some((b, &b.advanced.as_ref()?.alternate_target_group)))
}

/// Returns true for a deployment whose tasks get the requests until another one replaces it.
fn is_serving(deployment: &Deployment) -> bool {
    match deployment.rollout_state {
        RolloutState::Completed => true,
        RolloutState::InProgress => deployment.shift.is_none(),
        RolloutState::Failed => false,
    }
}

fn target_group(deployment: &Deployment) -> Option<&str> {
    let declared = || deployment.spec.load_balancers.first().map(|b| b.target_group.as_str());
    deployment.target_group.as_deref().or_else(declared)
}

/// Returns the parameters of a deployment's tasks: with the target group in which they are registered.
pub fn task_spec(deployment: &Deployment) -> ServiceSpec {
    let mut spec = deployment.spec.clone();
    if let Some(group) = &deployment.target_group {
        for balancer in spec.load_balancers.iter_mut().filter(|b| b.advanced.is_some()) {
            balancer.target_group.clone_from(group);
        }
    }
    spec
}

/// Returns the movement of requests that is in progress.
pub fn in_progress(service: &Service) -> Option<&TrafficShift> {
    let primary = service.deployments.first()?;
    primary
        .shift
        .as_ref()
        .filter(|_| primary.rollout_state == RolloutState::InProgress)
}

/// Returns the index of the deployment from which requests move.
pub fn former(service: &Service) -> Option<usize> {
    let mut deployments = service.deployments.iter().enumerate().skip(1);
    deployments.find(|(_, d)| is_serving(d)).map(|(n, _)| n)
}

/// Returns the ARN of the rule whose weights move.
pub fn rule(spec: &ServiceSpec) -> Option<&str> {
    let advanced = spec.load_balancers.iter().find_map(|b| b.advanced.as_ref())?;
    Some(&advanced.production_rule)
}

/// Returns the weights of the rule: whole percent, or tenths of them.
pub fn weights(shift: &TrafficShift) -> [(String, u32); 2] {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a percentage in tenths"
    )]
    let tenths = (shift.percent.clamp(0.0, 100.0) * 10.0).round() as u32;
    let (green, blue) = match tenths % 10 {
        0 => (tenths / 10, 100 - tenths / 10),
        // 999 is the maximum.
        _ => (tenths, (1000 - tenths).min(999)),
    };
    [(shift.blue.clone(), blue), (shift.green.clone(), green)]
}

/// Returns the tasks to start and to stop before the former ones are stopped: both deployments run all their tasks.
pub fn plan(service: &Service, tasks: &[TaskView], now: i64) -> Step {
    let desired = if service.status == "ACTIVE" { service.desired } else { 0 };
    let mut step = Step::default();
    let former = former(service).map(|n| &service.deployments[n]);
    let known = |task: &&TaskView| {
        service.deployments.first().is_some_and(|d| d.id == task.deployment)
            || former.is_some_and(|d| d.id == task.deployment)
    };
    let live = tasks.iter().filter(|t| !t.stopping);
    // Those of a deployment that this one has replaced before its end.
    step.stop = ids(live.clone().filter(|t| !known(t)));
    for (is_new, deployment) in [(true, service.deployments.first()), (false, former)] {
        let Some(deployment) = deployment else { continue };
        let mut own: Vec<&TaskView> = live.clone().filter(|t| t.deployment == deployment.id).collect();
        let count = u32::try_from(own.len()).unwrap_or(u32::MAX);
        if now >= deployment.retry_after {
            let missing = desired.saturating_sub(count);
            if is_new {
                step.start = missing;
            } else {
                step.start_former = missing;
            }
        }
        own.sort_by_key(|t| (t.healthy, t.status));
        step.stop
            .extend(ids(own.iter().copied().take(count.saturating_sub(desired) as usize)));
    }
    step
}

/// Returns true if the new deployment has all its tasks, and all are healthy.
pub fn is_ready(service: &Service, tasks: &[TaskView]) -> bool {
    let Some(primary) = service.deployments.first() else {
        return false;
    };
    let own = tasks.iter().filter(|t| !t.stopping && t.deployment == primary.id);
    own.clone().all(|t| t.healthy) && own.count() == service.desired as usize
}

/// Returns the movement after the current step, if that is over. `minute` is a minute in milliseconds.
pub fn advance(shift: &TrafficShift, spec: &ServiceSpec, ready: bool, now: i64, minute: i64) -> Option<TrafficShift> {
    let is_over = |minutes: u32| now - shift.since >= i64::from(minutes) * minute;
    let (stage, percent) = match (shift.stage, spec.strategy) {
        (ShiftStage::ScaleUp, _) if !ready => return None,
        (ShiftStage::ScaleUp, Strategy::Canary { percent, .. } | Strategy::Linear { percent, .. }) => {
            (ShiftStage::ProductionTrafficShift, percent)
        }
        (ShiftStage::ProductionTrafficShift, Strategy::Canary { minutes, .. } | Strategy::Linear { minutes, .. })
            if !is_over(minutes) =>
        {
            return None;
        }
        (ShiftStage::ProductionTrafficShift, Strategy::Linear { percent, .. }) => {
            (ShiftStage::ProductionTrafficShift, shift.percent + percent)
        }
        (ShiftStage::ScaleUp | ShiftStage::ProductionTrafficShift, _) => (ShiftStage::BakeTime, 100.0),
        (ShiftStage::BakeTime, _) if is_over(spec.bake_minutes) => (ShiftStage::CleanUp, 100.0),
        (ShiftStage::BakeTime | ShiftStage::CleanUp, _) => return None,
    };
    // The last step is followed by the bake time of the deployment.
    let all = percent >= 100.0;
    Some(TrafficShift {
        stage: if all && stage == ShiftStage::ProductionTrafficShift {
            ShiftStage::BakeTime
        } else {
            stage
        },
        percent: percent.min(100.0),
        since: now,
        ..shift.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::super::model::Status;
    use super::super::rolling_update::tests::service;
    use super::super::spec::Advanced;
    use super::*;

    fn spec(strategy: Strategy) -> ServiceSpec {
        let balancer = LoadBalancer {
            target_group: "first".into(),
            container: "web".into(),
            port: 80,
            advanced: Some(Advanced {
                alternate_target_group: "second".into(),
                production_rule: "rule".into(),
                role: "role".into(),
            }),
        };
        ServiceSpec {
            load_balancers: vec![balancer],
            strategy,
            bake_minutes: 2,
            ..ServiceSpec::default()
        }
    }

    /// Returns stage and percentage after each change, minute by minute.
    fn steps(strategy: Strategy) -> Vec<(i64, &'static str, f64)> {
        let spec = spec(strategy);
        let mut former = service(1, 100, 200);
        former.deployments[0].rollout_state = RolloutState::Completed;
        let mut shift = begin(&former, &spec, 0).1.expect("a movement");
        let mut seen = Vec::new();
        for minute in 0..100 {
            while let Some(next) = advance(&shift, &spec, true, minute, 1) {
                seen.push((minute, next.stage.name(), next.percent));
                shift = next;
            }
        }
        seen
    }

    #[test]
    fn requests_move_in_the_steps_of_the_strategy() {
        let (shift, bake, end) = ("PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP");
        assert_eq!(steps(Strategy::BlueGreen), [(0, bake, 100.0), (2, end, 100.0)]);
        let (percent, minutes) = (10.0, 5);
        assert_eq!(
            steps(Strategy::Canary { percent, minutes }),
            [(0, shift, 10.0), (5, bake, 100.0), (7, end, 100.0)]
        );
        let (percent, minutes) = (40.0, 3);
        assert_eq!(
            steps(Strategy::Linear { percent, minutes }),
            [(0, shift, 40.0), (3, shift, 80.0), (6, bake, 100.0), (8, end, 100.0)]
        );
    }

    #[test]
    fn no_request_moves_before_all_new_tasks_are_healthy() {
        let spec = spec(Strategy::BlueGreen);
        let mut former = service(1, 100, 200);
        former.deployments[0].rollout_state = RolloutState::Completed;
        let shift = begin(&former, &spec, 0).1.expect("a movement");
        assert_eq!(advance(&shift, &spec, false, 1_000_000, 1), None);
    }

    #[test]
    fn the_groups_change_their_roles_with_each_deployment() {
        let spec = spec(Strategy::BlueGreen);
        let mut service = service(1, 100, 200);
        service.deployments[0].spec = spec.clone();
        service.deployments[0].rollout_state = RolloutState::Completed;
        assert_eq!(begin(&service, &spec, 0).0.as_deref(), Some("second"));
        service.deployments[0].target_group = Some("second".into());
        assert_eq!(begin(&service, &spec, 0).0.as_deref(), Some("first"));
        assert_eq!(
            task_spec(&service.deployments[0]).load_balancers[0].target_group,
            "second"
        );
        service.deployments.clear();
        assert_eq!(begin(&service, &spec, 0), (None, None), "the first one");
    }

    #[test]
    fn weights_are_percent_or_tenths_of_them() {
        let weights_at = |percent| {
            let shift = TrafficShift {
                stage: ShiftStage::ScaleUp,
                blue: "b".into(),
                green: "g".into(),
                percent,
                since: 0,
            };
            weights(&shift).map(|(_, weight)| weight)
        };
        assert_eq!(weights_at(0.0), [100, 0]);
        assert_eq!(weights_at(10.0), [90, 10]);
        assert_eq!(weights_at(2.5), [975, 25]);
        assert_eq!(weights_at(100.0), [0, 100]);
    }

    #[test]
    fn both_deployments_keep_all_their_tasks_and_no_other_does() {
        let mut service = service(2, 100, 200);
        service.deployments[0].shift = begin_of(&service);
        let mut former = service.deployments[0].clone();
        (former.id, former.shift, former.rollout_state) = ("old".into(), None, RolloutState::Completed);
        let mut replaced = service.deployments[0].clone();
        replaced.id = "replaced".into();
        service.deployments.extend([replaced, former]);
        let task = |id: &str, deployment: &str| TaskView {
            id: id.into(),
            deployment: deployment.into(),
            status: Status::Running,
            healthy: true,
            stopping: false,
        };
        let tasks = [task("n", "new"), task("o", "old"), task("r", "replaced")];
        let step = plan(&service, &tasks, 1);
        assert_eq!((step.start, step.start_former, step.stop), (1, 1, vec!["r".to_owned()]));
    }

    fn begin_of(service: &Service) -> Option<TrafficShift> {
        let mut former = service.clone();
        former.deployments[0].rollout_state = RolloutState::Completed;
        begin(&former, &spec(Strategy::BlueGreen), 0).1
    }
}
