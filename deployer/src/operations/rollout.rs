//! Rollouts of services without CloudFormation, shown as an operation on their stacks.

use std::time::Duration;

use aws::Session;
use aws::ecs::{self, RolloutState, RolloutWait, ServiceRollout};
use ui::{Event, Sentiment, Ui};

use super::{Result, report};

/// Waits until every rollout has completed.
///
/// # Errors
/// A rollout was rolled back or did not end in time; the first of these errors, once all have ended.
pub async fn wait_for_rollouts(aws: &Session, ui: &Ui, rollouts: &[ServiceRollout], timeout: Duration) -> Result<()> {
    let waits = rollouts.iter().map(|rollout| wait(aws, ui, rollout, timeout));
    futures::future::join_all(waits).await.into_iter().collect()
}

async fn wait(aws: &Session, ui: &Ui, rollout: &ServiceRollout, timeout: Duration) -> Result<()> {
    let stack = &rollout.stack;
    let resource = |status: &str, reason: Option<String>| Event::Resource {
        stack: stack.clone(),
        resource: rollout.resource.clone(),
        resource_type: "AWS::ECS::Service".to_owned(),
        status: status.to_owned(),
        reason,
        cancelled: false,
    };
    ui.emit(Event::Stack {
        stack: stack.clone(),
        action: "update",
        resources: 1,
        expected_seconds: None,
    });
    ui.emit(resource("UPDATE_IN_PROGRESS", None));
    let mut wait = RolloutWait::start(aws, rollout.clone(), timeout);
    let result = completion(ui, rollout, &mut wait).await;
    let (status, reason) = match &result {
        Ok(()) => ("UPDATE_COMPLETE", None),
        Err(error) => ("UPDATE_FAILED", Some(error.to_string())),
    };
    ui.emit(resource(status, reason));
    ui.emit(Event::StackEnded {
        stack: stack.clone(),
        sentiment: Sentiment::of(status),
        status: status.to_owned(),
        seconds: wait.elapsed().as_secs_f32(),
    });
    Ok(result?)
}

async fn completion(ui: &Ui, rollout: &ServiceRollout, wait: &mut RolloutWait) -> ecs::Result<()> {
    loop {
        let progress = wait.poll().await?;
        report::ecs_events(ui, &rollout.stack, &progress.events);
        match progress.state {
            RolloutState::InProgress => {}
            RolloutState::Completed => return Ok(()),
            RolloutState::RolledBack(task_definition) => {
                return Err(ecs::Error::RolledBack {
                    service: rollout.service.clone(),
                    task_definition,
                });
            }
        }
    }
}
