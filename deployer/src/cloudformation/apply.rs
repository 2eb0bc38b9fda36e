//! Executes a change set and follows it to its end.

use std::time::Duration;

use super::Failure;
use super::change::ChangeSet;
use super::patience::{Patience, persist};
use super::watch::{Seen, Watch};
use crate::ecs::diagnose::{CrashLoop, Diagnosis};
use crate::error::{Error, Result};
use crate::target::Aws;
use crate::target::capabilities::Capability;
use ui::rollout::CircuitBreaker;
use ui::{Event, Sentiment, Ui};

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
    let mut wait = aws.wait(limit);
    let mut watch = Watch::begin(aws, &set.stack_id, name).await?;
    let action = if set.creates { "create" } else { "update" };
    ui.emit(Event::Stack {
        stack: name.to_owned(),
        action,
        resources: set.changes.len(),
        expected_seconds,
    });
    persist(aws, ui, || execute(aws, set)).await?;
    let mut diagnosis = Diagnosis::new(name);
    let mut patience = Patience::new(aws.clock);
    let mut crashed = None;
    let status = loop {
        let before = watch.seen.len() + diagnosis.shown();
        let looked = watch.look(aws, ui).await;
        let ended = patience.bear(ui, looked)?.flatten();
        // A rollback deletes tasks and log groups: what they say must be read before.
        let found = match &ended {
            Some(status) if Sentiment::of(status) == Sentiment::Good => None,
            Some(_) => diagnosis.look_now(aws, ui, &watch.seen).await,
            None => diagnosis.look(aws, ui, &watch.seen).await,
        };
        if let Some(status) = ended {
            break status;
        }
        if let Some(found) = found.filter(|_| crashed.is_none() && !watch.goes_back()) {
            end_early(aws, ui, name, set, &found).await?;
            crashed = Some(found);
        }
        if watch.seen.len() + diagnosis.shown() > before {
            wait.notice();
        }
        watch.within(&wait)?;
        wait.pause().await;
    };
    let seconds = wait.elapsed().as_secs_f32();
    ui.emit(Event::StackEnded {
        stack: name.to_owned(),
        sentiment: Sentiment::of(&status),
        status: status.clone(),
        seconds,
    });
    match status.as_str() {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" => Ok(status),
        _ => {
            let mut failure = Failure::new(name, &status, &watch.seen, diagnosis.last());
            if failure.resource.is_none() && status == "DELETE_COMPLETE" {
                failure.reason = Some("it was deleted while this went on, by somebody else".to_owned());
            }
            if let Some(crash) = crashed.filter(|_| failure.resource.is_none()) {
                failure.blame(&crash);
            }
            Err(match status.as_str() {
                "UPDATE_ROLLBACK_FAILED" | "ROLLBACK_FAILED" | "DELETE_FAILED" => Error::Stuck {
                    stack: name.to_owned(),
                    status,
                    reason: stuck_because(&failure, &watch.seen),
                },
                _ => Error::Failed(Box::new(failure)),
            })
        }
    }
}

/// Lets CloudFormation begin. Asked twice because the first answer was lost, it says that it has begun, which is as good.
async fn execute(aws: &Aws, set: &ChangeSet) -> Result<()> {
    let request = aws.cloudformation.execute_change_set().change_set_name(&set.id);
    match request.stack_name(&set.stack_id).send().await.map_err(Error::from) {
        Err(Error::Aws { code, message, .. }) if code == "InvalidChangeSetStatus" && message.contains("EXECUTE_") => {
            Ok(())
        }
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}

/// What failed first, and what then could not be undone, which is what keeps the stack from going on.
fn stuck_because(failure: &Failure, events: &[Seen]) -> Option<String> {
    let undoing = events
        .iter()
        .position(|event| event.is_stack && event.status.contains("ROLLBACK"));
    let after = undoing.map_or(events, |at| &events[at..]);
    let stuck = after
        .iter()
        .find(|event| event.status.ends_with("_FAILED") && !event.is_stack && !event.is_cancelled());
    let tell = |resource: &str, kind: &str, reason: Option<&str>| {
        format!("{resource} ({kind}): {}", reason.unwrap_or("no reason given"))
    };
    let first = failure
        .resource
        .as_deref()
        .map(|name| tell(name, failure.kind.as_deref().unwrap_or("?"), failure.reason.as_deref()))
        .or_else(|| failure.reason.clone());
    let then = stuck.map(|event| tell(&event.resource, &event.kind, event.reason.as_deref()));
    match (first, then) {
        (Some(first), Some(then)) if first != then => {
            Some(format!("{first}; it could not be undone, because of {then}"))
        }
        (first, then) => first.or(then),
    }
}

/// Ends an operation whose service cannot start, where that is not done already.
async fn end_early(aws: &Aws, ui: &Ui, name: &str, set: &ChangeSet, crash: &CrashLoop) -> Result<()> {
    let (service, times) = (&crash.task.service, crash.times);
    let proof = format!("{service} cannot start: {times} of its tasks stopped for the same reason");
    match Way::of(set.creates, crash.breaker, times) {
        Way::Breaker => {
            ui.warn(format!("{proof}; its circuit breaker ends the deployment"));
            Ok(())
        }
        Way::Leave => Err(Error::CrashLoop {
            stack: name.to_owned(),
            proof,
            task: Box::new(crash.task.clone()),
        }),
        Way::Cancel => {
            if aws.endpoint.lacks(Capability::CancelUpdate) {
                ui.warn(format!(
                    "{proof}; {} cannot cancel an update, so its end is waited for",
                    aws.endpoint
                ));
                return Ok(());
            }
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

/// How an operation with a crash loop ends soonest.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// ECS ends it by itself, and says why.
    Breaker,
    /// CloudFormation can cancel an update.
    Cancel,
    /// A creation without a circuit breaker cannot be ended but by deleting the stack, which is a person's to decide.
    Leave,
}

impl Way {
    fn of(creates: bool, breaker: Option<CircuitBreaker>, times: u32) -> Self {
        let failed = |breaker: &CircuitBreaker| breaker.failed.max(i32::try_from(times).unwrap_or(i32::MAX));
        match breaker {
            Some(breaker) if creates || failed(&breaker) >= breaker.threshold => Self::Breaker,
            _ if creates => Self::Leave,
            _ => Self::Cancel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circuit_breaker_is_waited_for_only_where_it_is_the_soonest_end() {
        let breaker = |threshold| Some(CircuitBreaker { failed: 2, threshold });
        assert_eq!(Way::of(false, breaker(3), 3), Way::Breaker, "it trips now");
        assert_eq!(
            Way::of(false, breaker(13), 3),
            Way::Cancel,
            "ten more would have to fail"
        );
        assert_eq!(
            Way::of(true, breaker(13), 3),
            Way::Breaker,
            "a creation cannot be cancelled"
        );
        assert_eq!(Way::of(false, None, 3), Way::Cancel);
        assert_eq!(Way::of(true, None, 3), Way::Leave);
    }
}
