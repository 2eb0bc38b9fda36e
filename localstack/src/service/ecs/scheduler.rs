//! The loop that starts and stops tasks until every service has its desired tasks.

use std::time::Duration;

use super::model::{self, Deployment, RolloutState, Service, ServiceSpec, ShiftStage, Status, Task, TrafficShift};
use super::rolling_update::{self, TaskView};
use super::state::EcsState;
use super::{fargate, service_discovery, task_definition, task_lifecycle, traffic_shift};
use crate::records::now;
use crate::runtime::load_balancer::LoadBalancers;
use crate::service::{cloudwatch, elbv2};
use crate::{AwsError, Context};

/// Stopped tasks are described for an hour, as on AWS.
const STOPPED_TASK_RETENTION_MS: i64 = 3_600_000;

/// A failed deployment is described for this time after its rollback.
const FAILED_DEPLOYMENT_RETENTION_MS: i64 = 30_000;

/// A failed task that ran longer than this starts a new series of consecutive failures.
const LONG_RUN_MS: i64 = 60_000;

pub async fn run(cx: Context) {
    let ecs = cx.extension::<EcsState>();
    loop {
        tokio::select! {
            () = cx.shutdown().cancelled() => return,
            () = ecs.scheduler_woken() => {}
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
        if let Err(error) = reconcile_all(&cx) {
            tracing::error!(%error, "the ECS scheduler failed; it runs again at its next interval");
        }
    }
}

fn reconcile_all(cx: &Context) -> Result<(), AwsError> {
    let ecs = cx.extension::<EcsState>();
    {
        let _lock = ecs.lock();
        let tasks = model::tasks(cx)?;
        for mut service in model::services(cx)?.into_iter().filter(|s| s.status != "INACTIVE") {
            let own: Vec<&Task> = tasks.iter().filter(|t| service.owns(t)).collect();
            reconcile(cx, &mut service, own)?;
        }
        let expired = |t: &&Task| t.stopped.is_some_and(|at| now() - at > STOPPED_TASK_RETENTION_MS);
        for task in tasks.iter().filter(expired) {
            model::delete_task(cx, &task.id)?;
        }
    }
    service_discovery::refresh(cx)
}

fn reconcile(cx: &Context, service: &mut Service, tasks: Vec<&Task>) -> Result<(), AwsError> {
    let before = serde_json::to_value(&*service).map_err(anyhow::Error::from)?;
    for task in tasks.iter().filter(|t| !t.is_live() && !t.end_recorded) {
        record_task_end(cx, service, task)?;
    }
    let live: Vec<&Task> = tasks.into_iter().filter(|t| t.is_live()).collect();
    for task in &live {
        if let Some(reason) = unhealthy_reason(cx, service, task)? {
            service.add_event(
                now(),
                format_args!("has stopped 1 running tasks: (task {}): {reason}", task.id),
            );
            task_lifecycle::request_stop(cx, &task.id, "ServiceSchedulerInitiated", &reason, true)?;
        }
    }
    fail_on_alarm(cx, service)?;
    trip_circuit_breaker(service);
    let mut views = Vec::new();
    for task in &live {
        views.push(TaskView {
            id: task.id.clone(),
            deployment: task.deployment.clone().unwrap_or_default(),
            status: task.last_status,
            healthy: task.last_status == Status::Running && is_healthy(cx, task)?,
            stopping: task.stopping || model::task(cx, &task.id)?.is_none_or(|t| t.stopping),
        });
    }
    // Requests move before tasks stop.
    let next = match move_requests(cx, service, &views) {
        Some(stage) if stage != ShiftStage::CleanUp => traffic_shift::plan(service, &views, now()),
        _ => rolling_update::plan(service, &views, now()),
    };
    for id in &next.stop {
        service.add_event(now(), format_args!("has stopped 1 running tasks: (task {id})."));
        task_lifecycle::request_stop(
            cx,
            id,
            "ServiceSchedulerInitiated",
            &scaling_reason(service, id, &live),
            false,
        )?;
    }
    start_tasks(cx, service, 0, next.start)?;
    if let Some(former) = traffic_shift::former(service).filter(|_| next.start_former > 0) {
        start_tasks(cx, service, former, next.start_former)?;
    }
    if next.steady {
        mark_steady(service);
    }
    if service.status == "DRAINING" && live.is_empty() {
        service.status = "INACTIVE".into();
        service.deployments.clear();
    }
    if serde_json::to_value(&*service).map_err(anyhow::Error::from)? != before {
        service.put(cx)?;
    }
    Ok(())
}

/// Starts tasks of the nth deployment, as far as the account's quota allows.
fn start_tasks(cx: &Context, service: &mut Service, deployment: usize, count: u32) -> Result<(), AwsError> {
    for _ in 0..count {
        let deployment = service.deployments[deployment].clone();
        if fargate::exceeds_quota(cx, &deployment.spec)? {
            let message = format!("was unable to place a task. Reason: {}", fargate::QUOTA_REACHED);
            let repeated = service
                .events
                .first()
                .is_some_and(|event| event.message.ends_with(&message));
            if !repeated {
                service.add_event(now(), message);
            }
            break;
        }
        let owner = Some((service.name.as_str(), deployment.id.as_str()));
        let spec = traffic_shift::task_spec(&deployment);
        let task = task_lifecycle::start(cx, &service.cluster, &spec, owner, &service.tags, |_| {})?;
        service.add_event(now(), format_args!("has started 1 tasks: (task {}).", task.id));
    }
    Ok(())
}

/// Moves requests between target groups as far as the primary deployment has come, and returns its stage; `None` if it moves
/// none. After a failure the former tasks get all requests at once.
fn move_requests(cx: &Context, service: &mut Service, views: &[TaskView]) -> Option<ShiftStage> {
    let is_failed = |d: &&mut Deployment| d.rollout_state == RolloutState::Failed;
    for failed in service.deployments.iter_mut().filter(is_failed) {
        // Once: afterwards the rule is the owner's again.
        if let Some(shift) = failed.shift.as_mut().filter(|shift| shift.percent > 0.0) {
            shift.percent = 0.0;
            set_weights(cx, &failed.spec, shift);
        }
    }
    let mut shift = traffic_shift::in_progress(service)?.clone();
    let spec = service.deployments.first()?.spec.clone();
    let minute = i64::try_from(cx.config().behavior.bake_minute().as_millis()).unwrap_or(i64::MAX);
    let ready = traffic_shift::is_ready(service, views);
    if let Some(next) = traffic_shift::advance(&shift, &spec, ready, now(), minute) {
        if next.stage != ShiftStage::CleanUp {
            service.add_event(
                now(),
                format_args!("moves {} % of the requests to the new tasks.", next.percent),
            );
        }
        shift = next.clone();
        let primary = service.deployments.first_mut()?;
        primary.shift = Some(next);
        primary.updated = now();
    }
    set_weights(cx, &spec, &shift);
    Some(shift.stage)
}

fn set_weights(cx: &Context, spec: &ServiceSpec, shift: &TrafficShift) {
    let Some(rule) = traffic_shift::rule(spec) else { return };
    if let Err(error) = elbv2::set_weights(cx, rule, &traffic_shift::weights(shift)) {
        tracing::warn!(rule, %error, "the weights of a listener rule could not be set");
    }
}

/// Records the end of a task, and its failure if there was one, in its deployment.
fn record_task_end(cx: &Context, service: &mut Service, task: &Task) -> Result<(), AwsError> {
    let mut task = task.clone();
    task.end_recorded = true;
    task.put(cx)?;
    let Some(deployment) = service
        .deployments
        .iter_mut()
        .find(|d| Some(&d.id) == task.deployment.as_ref())
    else {
        return Ok(());
    };
    if !task.failed {
        return Ok(());
    }
    let run_ms = task.started.zip(task.stopped).map(|(from, to)| to - from);
    let ran_long = run_ms.is_some_and(|run| run > LONG_RUN_MS);
    deployment.consecutive_failures = if ran_long {
        1
    } else {
        deployment.consecutive_failures + 1
    };
    deployment.retry_after = now() + rolling_update::retry_delay_ms(deployment.consecutive_failures);
    deployment.last_failure = Some(task_lifecycle::failure_description(&task));
    if deployment.rollout_state == RolloutState::InProgress {
        deployment.failed_tasks += 1;
        deployment.updated = now();
    } else if deployment.rollout_state == RolloutState::Completed && deployment.consecutive_failures == 4 {
        service.add_event(now(), "is unable to consistently start tasks successfully.");
    }
    Ok(())
}

/// Fails the primary deployment when too many of its tasks failed, and rolls back if the service asks for it.
fn trip_circuit_breaker(service: &mut Service) {
    let limit = rolling_update::failure_threshold(service.desired);
    let Some(primary) = service.deployments.first_mut() else {
        return;
    };
    if !primary.spec.circuit_breaker
        || primary.rollout_state != RolloutState::InProgress
        || primary.failed_tasks < limit
    {
        return;
    }
    let rollback = primary.spec.rollback;
    let reason = "ECS deployment circuit breaker: tasks failed to start.";
    fail(service, reason, "tasks failed to start", rollback);
}

/// Fails the primary deployment when one of its alarms is raised. An alarm that was raised before it is ignored.
fn fail_on_alarm(cx: &Context, service: &mut Service) -> Result<(), AwsError> {
    let Some(primary) = service.deployments.first_mut() else {
        return Ok(());
    };
    let is_complete = primary.rollout_state != RolloutState::InProgress;
    if is_complete || primary.spec.alarms.is_empty() || primary.rolled_back {
        return Ok(());
    }
    let mut raised = cloudwatch::raised(cx, &primary.spec.alarms)?;
    if !std::mem::replace(&mut primary.alarms_read, true) {
        primary.ignored_alarms = raised;
        return Ok(());
    }
    raised.retain(|name| !primary.ignored_alarms.contains(name));
    if raised.is_empty() {
        return Ok(());
    }
    let reason = format!("ECS deployment failed: alarm detected: {}.", raised.join(", "));
    primary.triggered_alarms = raised;
    let rollback = primary.spec.alarms_rollback;
    fail(service, &reason, "alarm detected", rollback);
    Ok(())
}

/// Fails the primary deployment, and starts its rollback to the last one that was complete.
fn fail(service: &mut Service, reason: &str, event: &str, rollback: bool) {
    let Some(primary) = service.deployments.first_mut() else {
        return;
    };
    primary.rollout_state = RolloutState::Failed;
    reason.clone_into(&mut primary.reason);
    primary.updated = now();
    let failed = primary.id.clone();
    service.add_event(now(), format_args!("(deployment {failed}) deployment failed: {event}."));
    let last_good = service
        .deployments
        .iter()
        .skip(1)
        .find(|d| d.rollout_state == RolloutState::Completed)
        .cloned();
    if let Some(good) = last_good.filter(|_| rollback) {
        service.add_event(now(), format_args!("rolling back to deployment {}.", good.id));
        service.spec = good.spec.clone();
        service.deployments.retain(|d| d.id != good.id);
        service.deployments.insert(
            0,
            Deployment {
                updated: now(),
                consecutive_failures: 0,
                retry_after: 0,
                rollout_state: RolloutState::InProgress,
                failed_tasks: 0,
                shift: None,
                rolled_back: true,
                ..good
            },
        );
    }
}

/// Completes the primary deployment, which has reached a steady state.
fn mark_steady(service: &mut Service) {
    let failed_before = service.deployments.len() > 1;
    let Some(primary) = service.deployments.first_mut() else {
        return;
    };
    if primary.rollout_state == RolloutState::InProgress {
        primary.rollout_state = RolloutState::Completed;
        primary.reason = format!("ECS deployment {} completed.", primary.id);
        primary.updated = now();
        let id = primary.id.clone();
        service.add_event(now(), format_args!("(deployment {id}) deployment completed."));
        service.add_event(now(), "has reached a steady state.");
    } else if primary.consecutive_failures > 0 {
        primary.consecutive_failures = 0;
        service.add_event(now(), "has reached a steady state.");
    }
    if failed_before {
        // A failed deployment is described for a while, so that a caller that waits for it finds its end, as on AWS.
        retain_behind_primary(service, |d| {
            d.rollout_state == RolloutState::Failed && now() - d.updated < FAILED_DEPLOYMENT_RETENTION_MS
        });
    }
}

/// Deletes failed deployments except the primary one. A service change that starts no deployment does this.
pub fn prune_failed_deployments(service: &mut Service) {
    retain_behind_primary(service, |d| d.rollout_state != RolloutState::Failed);
}

fn retain_behind_primary(service: &mut Service, keep: impl Fn(&Deployment) -> bool) {
    let mut is_primary = true;
    service
        .deployments
        .retain(|d| std::mem::take(&mut is_primary) || keep(d));
}

/// Starts a deployment of new parameters and returns its ID.
pub fn start_deployment(service: &mut Service, spec: ServiceSpec) -> String {
    let id = format!(
        "ecs-svc/{:019}",
        rand::random_range(1_000_000_000_000_000_000_u64..9_000_000_000_000_000_000)
    );
    service.spec = spec.clone();
    service.deployments.retain(|d| d.rollout_state != RolloutState::Failed);
    let (target_group, shift) = traffic_shift::begin(service, &spec, now());
    service.deployments.insert(
        0,
        Deployment {
            id: id.clone(),
            spec,
            created: now(),
            updated: now(),
            failed_tasks: 0,
            consecutive_failures: 0,
            retry_after: 0,
            rollout_state: RolloutState::InProgress,
            reason: format!("ECS deployment {id} in progress."),
            last_failure: None,
            target_group,
            shift,
            rolled_back: false,
            alarms_read: false,
            ignored_alarms: Vec::new(),
            triggered_alarms: Vec::new(),
        },
    );
    id
}

/// Returns true if a running task passes the health checks of its containers and its target groups.
fn is_healthy(cx: &Context, task: &Task) -> Result<bool, AwsError> {
    let definition = task_definition::named(cx, &task.spec.task_definition)?;
    if !task.passes_container_checks(&definition) {
        return Ok(false);
    }
    Ok(task
        .spec
        .load_balancers
        .iter()
        .all(|b| target_state(cx, task, b).is_none_or(|(state, _)| state == "healthy")))
}

/// Returns the reason to replace an unhealthy task, as ECS words it.
fn unhealthy_reason(cx: &Context, service: &Service, task: &Task) -> Result<Option<String>, AwsError> {
    if task.stopping || task.last_status != Status::Running {
        return Ok(None);
    }
    let definition = task_definition::named(cx, &task.spec.task_definition)?;
    if task.health(&definition) == "UNHEALTHY" {
        return Ok(Some("Task failed container health checks".into()));
    }
    let age = now() - task.started.unwrap_or_else(now);
    if age < service.spec.grace_seconds * 1000 {
        return Ok(None);
    }
    let unhealthy = task.spec.load_balancers.iter().find_map(|b| {
        let (state, reason) = target_state(cx, task, b)?;
        (state == "unhealthy").then(|| {
            let group = &b.target_group;
            format!(
                "Task failed ELB health checks in (target-group {group}): {}",
                reason.unwrap_or_default()
            )
        })
    });
    Ok(unhealthy)
}

/// Returns the state of a task as a target, or `None` if the target group no longer exists.
fn target_state(cx: &Context, task: &Task, balancer: &model::LoadBalancer) -> Option<(&'static str, Option<String>)> {
    let group = cx.extension::<LoadBalancers>().target_group(&balancer.target_group)?;
    let address = std::net::SocketAddr::from((task.address, balancer.port));
    match group.targets().iter().find(|t| t.address == address) {
        Some(target) => Some((target.health().state, target.health().description)),
        None => Some(("unused", None)),
    }
}

fn scaling_reason(service: &Service, id: &str, live: &[&Task]) -> String {
    let deployment = live
        .iter()
        .find(|t| t.id == id)
        .and_then(|t| t.deployment.clone())
        .unwrap_or_default();
    format!(
        "Scaling activity initiated by (deployment {deployment}) of (service {})",
        service.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::ecs::rolling_update::tests::service;

    #[test]
    fn a_deployment_that_trips_the_circuit_breaker_is_rolled_back_and_pruned() {
        let mut service = service(1, 100, 200);
        service.deployments[0].rollout_state = RolloutState::Completed;
        let spec = ServiceSpec {
            task_definition: "bad:2".into(),
            circuit_breaker: true,
            rollback: true,
            ..ServiceSpec::default()
        };
        let bad = start_deployment(&mut service, spec);
        service.deployments[0].failed_tasks = rolling_update::failure_threshold(1);

        trip_circuit_breaker(&mut service);
        mark_steady(&mut service);
        let shown: Vec<_> = service
            .deployments
            .iter()
            .map(|d| (d.id.as_str(), d.rollout_state))
            .collect();
        assert_eq!(
            shown,
            [("new", RolloutState::Completed), (bad.as_str(), RolloutState::Failed)]
        );

        prune_failed_deployments(&mut service);
        assert_eq!(service.deployments.len(), 1, "only the steady deployment is left");

        service.deployments[0].rollout_state = RolloutState::Failed;
        prune_failed_deployments(&mut service);
        assert_eq!(
            service.deployments.len(),
            1,
            "the primary deployment stays, failed or not"
        );
    }
}
