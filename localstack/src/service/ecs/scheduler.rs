//! The loop that starts and stops tasks until every service has its desired tasks.

use std::time::Duration;

use super::model::{self, Deployment, RolloutState, Service, ShiftStage, Status, Task, TrafficShift};
use super::rolling_update::{self, TaskView};
use super::spec::{LoadBalancer, ServiceSpec};
use super::state::EcsState;
use super::{deployments, fargate, service_discovery, task_definition, task_lifecycle, traffic_shift};
use crate::records::now;
use crate::runtime::load_balancer::LoadBalancers;
use crate::service::elbv2;
use crate::{AwsError, Context};

/// Stopped tasks are described for an hour, as on AWS.
const STOPPED_TASK_RETENTION_MS: i64 = 3_600_000;

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
        deployments::record_task_end(cx, service, task)?;
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
    deployments::fail_on_alarm(cx, service)?;
    deployments::trip_circuit_breaker(service);
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
        deployments::mark_steady(service);
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
fn target_state(cx: &Context, task: &Task, balancer: &LoadBalancer) -> Option<(&'static str, Option<String>)> {
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
