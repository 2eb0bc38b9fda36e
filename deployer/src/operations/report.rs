//! Events of CloudFormation and ECS as events of the output.

use aws::cloudformation::StackEvent;
use aws::ecs::{self, EcsEvent};
use ui::rollout::{CircuitBreaker, Revision, Rollout, Traffic};
use ui::{Event, Ui};

/// Shows the events of an operation on a stack.
pub fn stack_events(ui: &Ui, stack: &str, events: &[StackEvent]) {
    for event in events {
        let (stack, status) = (stack.to_owned(), event.status.clone());
        if !event.is_stack {
            ui.emit(Event::Resource {
                stack,
                resource: event.logical_id.clone(),
                resource_type: event.resource_type.clone(),
                status,
                reason: event.reason.clone(),
                cancelled: event.is_cancelled(),
            });
        } else if status.ends_with("CLEANUP_IN_PROGRESS") {
            ui.emit(Event::StackCleaningUp { stack, status });
        } else if status.ends_with("ROLLBACK_IN_PROGRESS") {
            let reason = event.reason.clone();
            ui.emit(Event::StackRollingBack { stack, status, reason });
        }
    }
}

/// Shows the events of a stack's services.
pub fn ecs_events(ui: &Ui, stack: &str, events: &[EcsEvent]) {
    for event in events.iter().cloned() {
        ui.emit(match event {
            EcsEvent::Rollout { resource, rollout } => Event::Rollout {
                stack: stack.to_owned(),
                resource,
                rollout: self::rollout(rollout),
            },
            EcsEvent::TaskStopped { task, times } => Event::TaskStopped {
                service: task.service,
                task: task.task,
                reason: task.reason,
                exit_code: task.exit_code,
                log: task.log,
                times,
            },
        });
    }
}

fn rollout(rollout: ecs::Rollout) -> Rollout {
    let revision = |revision: ecs::Revision| Revision {
        name: revision.name,
        status: revision.status,
        rollout: revision.rollout,
        desired: revision.desired,
        running: revision.running,
        pending: revision.pending,
        failed: revision.failed,
    };
    Rollout {
        service: rollout.service,
        revisions: rollout.revisions.into_iter().map(revision).collect(),
        breaker: rollout.breaker.map(|breaker| CircuitBreaker {
            failed: breaker.failed,
            threshold: breaker.threshold,
        }),
        targets: rollout.targets,
        traffic: rollout.traffic.map(traffic),
    }
}

/// Returns the movement of requests as the output shows it.
pub fn traffic(traffic: ecs::Traffic) -> Traffic {
    Traffic {
        strategy: traffic.strategy,
        stage: traffic.stage,
        percent: traffic.percent,
        minutes: traffic.minutes,
    }
}
