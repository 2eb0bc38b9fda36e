//! The life of a deployment: it starts, its tasks fail or an alarm is raised, and it is rolled back or complete.

use super::model::{Deployment, RolloutState, Service, Task};
use super::spec::ServiceSpec;
use super::{rolling_update, task_lifecycle, traffic_shift};
use crate::records::now;
use crate::service::cloudwatch;
use crate::{AwsError, Context};

/// A failed deployment is described for this time after its rollback.
const FAILED_DEPLOYMENT_RETENTION_MS: i64 = 30_000;

/// A failed task that ran longer than this starts a new series of consecutive failures.
const LONG_RUN_MS: i64 = 60_000;

/// Records the end of a task, and its failure if there was one, in its deployment.
pub fn record_task_end(cx: &Context, service: &mut Service, task: &Task) -> Result<(), AwsError> {
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
pub fn trip_circuit_breaker(service: &mut Service) {
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
pub fn fail_on_alarm(cx: &Context, service: &mut Service) -> Result<(), AwsError> {
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
pub fn mark_steady(service: &mut Service) {
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
