//! The execution of a change set.

use std::time::Duration;

use aws::cloudformation::{ChangeSet, Error as StackError, StackOperation, cancel_update};
use aws::ecs::{CircuitBreaker, CrashLoop, Diagnosis, DiagnosisProgress, Unplaced};
use aws::{Capability, Session};
use ui::{Event, Sentiment, Ui};

use super::{Error, Result, report};

/// Executes a change set and waits for its end; returns the stack's status. `expected_seconds` is the expected duration of the whole
/// operation, if known.
///
/// # Errors
/// The operation fails; the error contains the first resource's reason and, for an ECS service, its last stopped task.
pub async fn apply(
    aws: &Session,
    ui: &Ui,
    name: &str,
    set: &ChangeSet,
    expected_seconds: Option<u32>,
    timeout: Duration,
) -> Result<String> {
    ui.emit(Event::Stack {
        stack: name.to_owned(),
        action: if set.creates { "create" } else { "update" },
        resources: set.changes.len(),
        expected_seconds,
    });
    let mut operation = StackOperation::execute(aws, name, set, timeout).await?;
    let mut diagnosis = Diagnosis::default();
    let mut crash_loop = None;
    let mut unplaced = None;
    let status = loop {
        let progress = operation.poll().await?;
        report::stack_events(ui, name, &progress.events);
        // A rollback deletes tasks and log groups: they must be read before.
        let ecs = match &progress.status {
            Some(status) if Sentiment::of(status) == Sentiment::Good => DiagnosisProgress::default(),
            Some(_) => diagnosis.poll_now(aws, operation.events()).await,
            None => diagnosis.poll(aws, operation.events()).await,
        };
        report::ecs_events(ui, name, &ecs.events);
        if let Some(status) = progress.status {
            break status;
        }
        if !ecs.events.is_empty() {
            operation.changed();
        }
        if let Some(found) = ecs
            .unplaced
            .filter(|_| unplaced.is_none() && !operation.is_rolling_back())
        {
            abandon(aws, ui, name, set, &found).await?;
            unplaced = Some(found);
        }
        let found = ecs.crash_loop;
        if let Some(found) = found.filter(|_| crash_loop.is_none() && !operation.is_rolling_back()) {
            abort(aws, ui, name, set, &found).await?;
            crash_loop = Some(found);
        }
    };
    ui.emit(Event::StackEnded {
        stack: name.to_owned(),
        sentiment: Sentiment::of(&status),
        status: status.clone(),
        seconds: operation.elapsed().as_secs_f32(),
    });
    if matches!(status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE") {
        return Ok(status);
    }
    let mut failure = operation.failure(&status);
    if let Some(CrashLoop { resource, times, .. }) = crash_loop {
        let reason = format!("{times} tasks stopped for the same reason, so the update was cancelled");
        failure.set_cause(&resource, "AWS::ECS::Service", reason);
    }
    if let Some(Unplaced { resource, reason, .. }) = unplaced {
        let reason = format!("ECS cannot place its tasks ({reason}), so the update was cancelled");
        failure.set_cause(&resource, "AWS::ECS::Service", reason);
    }
    Err(match operation.error(failure) {
        StackError::Failed(failure) => Error::Failed {
            failure,
            task: diagnosis.last().map(Box::new),
        },
        stuck => stuck.into(),
    })
}

/// Ends the wait for an operation whose service waits for a quota: an update is cancelled, a creation is left to the user.
async fn abandon(aws: &Session, ui: &Ui, name: &str, set: &ChangeSet, unplaced: &Unplaced) -> Result<()> {
    if set.creates {
        return Err(Error::Unplaced {
            stack: name.to_owned(),
            unplaced: unplaced.clone(),
        });
    }
    let Unplaced { service, reason, .. } = unplaced;
    if aws.endpoint().lacks(Capability::CancelUpdate) {
        ui.warn(format!("ECS cannot place tasks of {service}: {reason}"));
        return Ok(());
    }
    ui.warn(format!(
        "ECS cannot place tasks of {service}: {reason}; the update is cancelled"
    ));
    cancel_update(aws, &set.stack_id).await?;
    Ok(())
}

/// Aborts an operation whose service cannot start, unless its circuit breaker does.
async fn abort(aws: &Session, ui: &Ui, name: &str, set: &ChangeSet, crash_loop: &CrashLoop) -> Result<()> {
    let (service, times) = (&crash_loop.task.service, crash_loop.times);
    let evidence = format!("{service} cannot start: {times} of its tasks stopped for the same reason");
    match CrashLoopAction::of(set.creates, crash_loop.breaker, times) {
        CrashLoopAction::AwaitBreaker => ui.warn(format!("{evidence}; its circuit breaker ends the deployment")),
        CrashLoopAction::Detach => {
            return Err(Error::CrashLoop {
                stack: name.to_owned(),
                evidence,
                task: Box::new(crash_loop.task.clone()),
            });
        }
        CrashLoopAction::Cancel if aws.endpoint().lacks(Capability::CancelUpdate) => {
            let endpoint = aws.endpoint();
            ui.warn(format!(
                "{evidence}; {endpoint} cannot cancel updates; waiting for it to finish"
            ));
        }
        CrashLoopAction::Cancel => {
            ui.warn(format!("{evidence}; the update is cancelled"));
            // It may be rolling back already.
            cancel_update(aws, &set.stack_id).await?;
        }
    }
    Ok(())
}

/// The fastest way to end an operation whose service crashes.
#[derive(Debug, PartialEq, Eq)]
enum CrashLoopAction {
    /// The circuit breaker ends it and reports why.
    AwaitBreaker,
    /// CloudFormation can cancel an update.
    Cancel,
    /// A creation without a circuit breaker ends only with the deletion of the stack, which the user must decide.
    Detach,
}

impl CrashLoopAction {
    fn of(creates: bool, breaker: Option<CircuitBreaker>, times: u32) -> Self {
        let failed = |breaker: &CircuitBreaker| breaker.failed.max(i32::try_from(times).unwrap_or(i32::MAX));
        match breaker {
            Some(breaker) if creates || failed(&breaker) >= breaker.threshold => Self::AwaitBreaker,
            _ if creates => Self::Detach,
            _ => Self::Cancel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circuit_breaker_ends_an_operation_only_if_nothing_else_is_faster() {
        let breaker = |threshold| Some(CircuitBreaker { failed: 2, threshold });
        let action = CrashLoopAction::of;
        assert_eq!(
            action(false, breaker(3), 3),
            CrashLoopAction::AwaitBreaker,
            "it trips now"
        );
        assert_eq!(
            action(false, breaker(13), 3),
            CrashLoopAction::Cancel,
            "ten more tasks would have to fail"
        );
        assert_eq!(
            action(true, breaker(13), 3),
            CrashLoopAction::AwaitBreaker,
            "a creation cannot be cancelled"
        );
        assert_eq!(action(false, None, 3), CrashLoopAction::Cancel);
        assert_eq!(action(true, None, 3), CrashLoopAction::Detach);
    }
}
