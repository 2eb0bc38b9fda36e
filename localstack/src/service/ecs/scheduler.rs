//! The loop that brings every service to what it desires.

use std::time::Duration;

use super::model::{self, Deployment, Rollout, Service, Status, Task, Wish};
use super::plan::{self, Seen};
use super::{Ecs, drive, names, task_definition};
use crate::records::now;
use crate::runtime::load_balancer::LoadBalancers;
use crate::{AwsError, Context};

/// Stopped tasks are shown for an hour, as on AWS.
const REMEMBERED: i64 = 3_600_000;

/// How long a deployment that failed and was rolled back is still described, in milliseconds.
const FAILURE_SHOWN: i64 = 30_000;

pub async fn run(cx: Context) {
    let ecs = cx.extension::<Ecs>();
    loop {
        tokio::select! {
            () = cx.shutdown().cancelled() => return,
            () = ecs.wake.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
        if let Err(error) = round(&cx) {
            tracing::error!(%error, "the ECS scheduler could not do a round");
        }
    }
}

fn round(cx: &Context) -> Result<(), AwsError> {
    let ecs = cx.extension::<Ecs>();
    {
        let _held = ecs.hold();
        let tasks = model::tasks(cx)?;
        for mut service in model::services(cx)?.into_iter().filter(|s| s.status != "INACTIVE") {
            let mine: Vec<&Task> = tasks
                .iter()
                .filter(|t| t.cluster == service.cluster && t.service.as_ref() == Some(&service.name))
                .collect();
            reconcile(cx, &mut service, mine)?;
        }
        for task in tasks
            .iter()
            .filter(|t| t.stopped.is_some_and(|at| now() - at > REMEMBERED))
        {
            model::forget_task(cx, &task.id)?;
        }
    }
    names::refresh(cx)
}

fn reconcile(cx: &Context, service: &mut Service, tasks: Vec<&Task>) -> Result<(), AwsError> {
    let before = serde_json::to_value(&*service).map_err(anyhow::Error::from)?;
    for task in tasks.iter().filter(|t| !t.is_live() && !t.counted) {
        take_note(cx, service, task)?;
    }
    let live: Vec<&Task> = tasks.into_iter().filter(|t| t.is_live()).collect();
    for task in &live {
        if let Some(reason) = sick(cx, service, task)? {
            service.say(
                now(),
                format_args!("has stopped 1 running tasks: (task {}): {reason}", task.id),
            );
            drive::stop(cx, &task.id, "ServiceSchedulerInitiated", &reason, true)?;
        }
    }
    trip(service);
    let mut seen = Vec::new();
    for task in &live {
        seen.push(Seen {
            id: task.id.clone(),
            deployment: task.deployment.clone().unwrap_or_default(),
            status: task.last_status,
            healthy: task.last_status == Status::Running && is_well(cx, task)?,
            stopping: task.stopping || model::task(cx, &task.id)?.is_none_or(|t| t.stopping),
        });
    }
    let next = plan::plan(service, &seen, now());
    for id in &next.stop {
        service.say(now(), format_args!("has stopped 1 running tasks: (task {id})."));
        drive::stop(
            cx,
            id,
            "ServiceSchedulerInitiated",
            &scaling_reason(service, id, &live),
            false,
        )?;
    }
    for _ in 0..next.start {
        let primary = service.deployments[0].clone();
        let owner = Some((service.name.as_str(), primary.id.as_str()));
        let task = drive::begin(cx, &service.cluster, &primary.wish, owner, &service.tags, |_| {})?;
        service.say(now(), format_args!("has started 1 tasks: (task {}).", task.id));
    }
    if next.steady {
        settle(service);
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

/// Writes an ended task's failure on its deployment's account.
fn take_note(cx: &Context, service: &mut Service, task: &Task) -> Result<(), AwsError> {
    let mut task = task.clone();
    task.counted = true;
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
    let lived = task
        .started
        .zip(task.stopped)
        .is_some_and(|(from, to)| to - from > 60_000);
    deployment.in_a_row = if lived { 1 } else { deployment.in_a_row + 1 };
    deployment.not_before = now() + plan::pause(deployment.in_a_row);
    deployment.last_failure = Some(drive::words(&task));
    if deployment.rollout == Rollout::InProgress {
        deployment.failed_tasks += 1;
        deployment.updated = now();
    } else if deployment.rollout == Rollout::Completed && deployment.in_a_row == 4 {
        service.say(now(), "is unable to consistently start tasks successfully.");
    }
    Ok(())
}

/// The circuit breaker.
fn trip(service: &mut Service) {
    let limit = plan::threshold(service.desired);
    let Some(primary) = service.deployments.first_mut() else {
        return;
    };
    if !primary.wish.breaker || primary.rollout != Rollout::InProgress || primary.failed_tasks < limit {
        return;
    }
    primary.rollout = Rollout::Failed;
    primary.reason = "ECS deployment circuit breaker: tasks failed to start.".into();
    primary.updated = now();
    let (failed, rollback) = (primary.id.clone(), primary.wish.rollback);
    service.say(
        now(),
        format_args!("(deployment {failed}) deployment failed: tasks failed to start."),
    );
    let last_good = service
        .deployments
        .iter()
        .skip(1)
        .find(|d| d.rollout == Rollout::Completed)
        .cloned();
    if let Some(good) = last_good.filter(|_| rollback) {
        service.say(now(), format_args!("rolling back to deployment {}.", good.id));
        service.wish = good.wish.clone();
        let again = Deployment {
            updated: now(),
            in_a_row: 0,
            not_before: 0,
            ..good.clone()
        };
        service.deployments.retain(|d| d.id != good.id);
        service.deployments.insert(
            0,
            Deployment {
                rollout: Rollout::InProgress,
                failed_tasks: 0,
                ..again
            },
        );
    }
}

fn settle(service: &mut Service) {
    let failed_before = service.deployments.len() > 1;
    let Some(primary) = service.deployments.first_mut() else {
        return;
    };
    if primary.rollout == Rollout::InProgress {
        primary.rollout = Rollout::Completed;
        primary.reason = format!("ECS deployment {} completed.", primary.id);
        primary.updated = now();
        let id = primary.id.clone();
        service.say(now(), format_args!("(deployment {id}) deployment completed."));
        service.say(now(), "has reached a steady state.");
    } else if primary.in_a_row > 0 {
        primary.in_a_row = 0;
        service.say(now(), "has reached a steady state.");
    }
    if failed_before {
        // A failed deployment stays to be seen by who waits for it, then it is gone, as on AWS.
        let mut place = 0;
        service.deployments.retain(|d| {
            place += 1;
            place == 1 || (d.rollout == Rollout::Failed && now() - d.updated < FAILURE_SHOWN)
        });
    }
}

/// Forgets failed deployments behind the primary one: a change that needs no deployment of its own ends their story.
pub fn forget_failures(service: &mut Service) {
    let mut place = 0;
    service.deployments.retain(|d| {
        place += 1;
        place == 1 || d.rollout != Rollout::Failed
    });
}

/// Begins a deployment of what the service wishes now.
pub fn deploy(service: &mut Service, wish: Wish) -> String {
    let id = format!(
        "ecs-svc/{:019}",
        rand::random_range(1_000_000_000_000_000_000_u64..9_000_000_000_000_000_000)
    );
    service.wish = wish.clone();
    service.deployments.retain(|d| d.rollout != Rollout::Failed);
    service.deployments.insert(
        0,
        Deployment {
            id: id.clone(),
            wish,
            created: now(),
            updated: now(),
            failed_tasks: 0,
            in_a_row: 0,
            not_before: 0,
            rollout: Rollout::InProgress,
            reason: format!("ECS deployment {id} in progress."),
            last_failure: None,
        },
    );
    id
}

/// Whether a running task passes its container checks and its load balancers' checks.
fn is_well(cx: &Context, task: &Task) -> Result<bool, AwsError> {
    let definition = task_definition::named(cx, &task.wish.task_definition)?;
    let has_checks = super::shape::list(&definition, "containerDefinitions")
        .iter()
        .any(|c| c.get("healthCheck").is_some());
    if has_checks && task.health(&definition) != "HEALTHY" {
        return Ok(false);
    }
    Ok(task
        .wish
        .load_balancers
        .iter()
        .all(|b| target_state(cx, task, b).is_none_or(|(state, _)| state == "healthy")))
}

/// Why a task has to be replaced.
fn sick(cx: &Context, service: &Service, task: &Task) -> Result<Option<String>, AwsError> {
    if task.stopping || task.last_status != Status::Running {
        return Ok(None);
    }
    let definition = task_definition::named(cx, &task.wish.task_definition)?;
    if task.health(&definition) == "UNHEALTHY" {
        return Ok(Some("Task failed container health checks".into()));
    }
    let age = now() - task.started.unwrap_or_else(now);
    if age < service.wish.grace_seconds * 1000 {
        return Ok(None);
    }
    let unhealthy = task.wish.load_balancers.iter().find_map(|b| {
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

/// The state of a task as a target; none when the target group is gone.
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
    use crate::service::ecs::plan::tests::service;

    #[test]
    fn a_tripped_deployment_goes_back_to_the_last_good_one_and_is_forgotten() {
        let mut service = service(1, 100, 200);
        service.deployments[0].rollout = Rollout::Completed;
        let wish = Wish {
            task_definition: "bad:2".into(),
            breaker: true,
            rollback: true,
            ..Wish::default()
        };
        let bad = deploy(&mut service, wish);
        service.deployments[0].failed_tasks = plan::threshold(1);

        trip(&mut service);
        settle(&mut service);
        let shown: Vec<_> = service.deployments.iter().map(|d| (d.id.as_str(), d.rollout)).collect();
        assert_eq!(shown, [("new", Rollout::Completed), (bad.as_str(), Rollout::Failed)]);

        forget_failures(&mut service);
        assert_eq!(service.deployments.len(), 1, "what remains is steady");

        service.deployments[0].rollout = Rollout::Failed;
        forget_failures(&mut service);
        assert_eq!(service.deployments.len(), 1, "the primary one stays, failed or not");
    }
}
