//! Executes a change set and follows it to its end.

use std::time::{Duration, Instant};

use super::Failure;
use super::change::ChangeSet;
use super::watch::Watch;
use crate::ecs::diagnose::Diagnosis;
use crate::error::{Error, Result};
use crate::target::Aws;
use crate::ui::{Event, Mood, Ui};

/// Executes; the error of a failed operation holds the first resource's reason and, for an ECS service, its task's end.
pub async fn apply(aws: &Aws, ui: &Ui, name: &str, set: &ChangeSet, limit: Duration) -> Result<String> {
    let began = Instant::now();
    let mut watch = Watch::begin(aws, &set.stack_id, name).await?;
    let action = if set.creates { "create" } else { "update" };
    ui.emit(Event::Stack {
        stack: name.to_owned(),
        action,
        resources: set.changes.len(),
    });
    aws.cloudformation
        .execute_change_set()
        .change_set_name(&set.id)
        .stack_name(&set.stack_id)
        .send()
        .await?;
    let mut diagnosis = Diagnosis::default();
    let status = loop {
        if let Some(status) = watch.look(aws, ui).await? {
            break status;
        }
        // A rollback deletes tasks and log groups: what they say must be read before.
        diagnosis.look(aws, ui, &watch.seen).await;
        if began.elapsed() > limit {
            let last = watch
                .seen
                .last()
                .map(|event| format!("{} {}", event.resource, event.status));
            return Err(Error::TimedOut {
                what: format!("stack {name}"),
                seconds: limit.as_secs(),
                last,
            });
        }
        tokio::time::sleep(aws.pace).await;
    };
    let seconds = began.elapsed().as_secs_f32();
    ui.emit(Event::StackEnded {
        stack: name.to_owned(),
        mood: Mood::of(&status),
        status: status.clone(),
        seconds,
    });
    match status.as_str() {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" => Ok(status),
        "UPDATE_ROLLBACK_FAILED" | "ROLLBACK_FAILED" | "DELETE_FAILED" => {
            let failure = Failure::new(name, &status, &watch.seen, diagnosis.last());
            Err(Error::Stuck {
                stack: name.to_owned(),
                status,
                reason: failure.reason,
            })
        }
        _ => {
            let failure = Failure::new(name, &status, &watch.seen, diagnosis.last());
            Err(Error::Failed(Box::new(failure)))
        }
    }
}
