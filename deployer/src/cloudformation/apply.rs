//! Executes a change set and follows it to its end.

use std::time::{Duration, Instant};

use super::Failure;
use super::change::ChangeSet;
use super::patience::Patience;
use super::watch::Watch;
use crate::ecs::diagnose::{CrashLoop, Diagnosis};
use crate::error::{Error, Result};
use crate::target::Aws;
use crate::ui::{Event, Mood, Ui};

/// Executes; the error of a failed operation holds the first resource's reason and, for an ECS service, its task's end.
/// `expected_seconds` is what the whole of it usually takes, where that is known.
pub async fn apply(
    aws: &Aws,
    ui: &Ui,
    name: &str,
    set: &ChangeSet,
    expected_seconds: Option<u32>,
    limit: Duration,
) -> Result<String> {
    let began = Instant::now();
    let mut watch = Watch::begin(aws, &set.stack_id, name).await?;
    let action = if set.creates { "create" } else { "update" };
    ui.emit(Event::Stack {
        stack: name.to_owned(),
        action,
        resources: set.changes.len(),
        expected_seconds,
    });
    aws.cloudformation
        .execute_change_set()
        .change_set_name(&set.id)
        .stack_name(&set.stack_id)
        .send()
        .await?;
    let mut diagnosis = Diagnosis::new(name);
    let mut patience = Patience::default();
    let mut crashed = None;
    let status = loop {
        let looked = watch.look(aws, ui).await;
        let ended = patience.bear(ui, looked)?.flatten();
        // A rollback deletes tasks and log groups: what they say must be read before.
        let found = match &ended {
            Some(status) if Mood::of(status) == Mood::Good => None,
            Some(_) => diagnosis.look_now(aws, ui, &watch.seen).await,
            None => diagnosis.look(aws, ui, &watch.seen).await,
        };
        if let Some(status) = ended {
            break status;
        }
        if let Some(found) = found.filter(|_| crashed.is_none()) {
            end_early(aws, ui, name, set, &found).await?;
            crashed = Some(found);
        }
        watch.within(began, limit)?;
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
        _ => {
            let mut failure = Failure::new(name, &status, &watch.seen, diagnosis.last());
            if let Some(crash) = crashed.filter(|_| failure.resource.is_none()) {
                failure.blame(&crash);
            }
            Err(match status.as_str() {
                "UPDATE_ROLLBACK_FAILED" | "ROLLBACK_FAILED" | "DELETE_FAILED" => Error::Stuck {
                    stack: name.to_owned(),
                    status,
                    reason: failure.reason,
                },
                _ => Error::Failed(Box::new(failure)),
            })
        }
    }
}

/// Ends an operation whose service cannot start, where that is not done already: an update is cancelled; a creation is
/// ended by the circuit breaker, and left to itself where there is none.
async fn end_early(aws: &Aws, ui: &Ui, name: &str, set: &ChangeSet, crash: &CrashLoop) -> Result<()> {
    let service = &crash.task.service;
    let proof = format!(
        "{service} cannot start: {} of its tasks stopped for the same reason",
        crash.times
    );
    match crash.breaker {
        Some(breaker) if set.creates || breaker.failed >= breaker.threshold => {
            ui.warn(format!("{proof}; its circuit breaker ends the deployment"));
            Ok(())
        }
        _ if set.creates => Err(Error::CrashLoop {
            stack: name.to_owned(),
            proof,
            task: Box::new(crash.task.clone()),
        }),
        _ => {
            ui.warn(format!("{proof}; the update is cancelled"));
            let request = aws.cloudformation.cancel_update_stack().stack_name(&set.stack_id);
            match request.send().await.map_err(Error::from) {
                // It may be rolling back by itself already.
                Err(error) if !error.is_too_late() => Err(error),
                _ => Ok(()),
            }
        }
    }
}
