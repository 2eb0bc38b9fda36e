//! One operation on a stack: a stream of its events, and its result.

use std::collections::HashSet;
use std::time::Duration;

use serde::Serialize;

use super::change_set::ChangeSet;
use super::error::{Error, Result};
use super::failure::StackFailure;
use super::stack::{self, Stack};
use super::stack_events::{self, StackEvent};
use super::status::is_final;
use crate::clock::Wait;
use crate::session::Session;

/// An operation that has been started, by this process or by another one.
pub struct StackOperation {
    aws: Session,
    /// The stack's ID: a deleted stack is found by it alone.
    id: String,
    name: String,
    /// Description of the operation for a timeout.
    description: String,
    /// IDs of all events so far.
    known: HashSet<String>,
    events: Vec<StackEvent>,
    wait: Wait,
    polled: bool,
    kind: Kind,
}

/// The kind of an operation, which decides what ends it besides an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The execution of a change set.
    Execute,
    /// A deletion. A stack that was only reviewed may be deleted without an event.
    Delete,
    /// An operation that was started before. Its last event may be among the known ones.
    Attached,
}

/// The news of one poll.
#[derive(Debug, Default)]
pub struct Progress {
    /// New events, oldest first.
    pub events: Vec<StackEvent>,
    /// The stack's status, if the operation has ended.
    pub status: Option<String>,
}

/// A resource that still exists although its stack is deleted, by its `DeletionPolicy` or by `RetainResources`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetainedResource {
    /// The name of the stack that had it.
    pub stack: String,
    /// The logical ID in that stack.
    #[serde(rename = "resource")]
    pub logical_id: String,
    /// The CloudFormation type.
    pub resource_type: String,
    /// The physical ID, by which the service finds it.
    pub physical_id: String,
}

impl StackOperation {
    /// Executes a change set.
    ///
    /// # Errors
    /// A request fails.
    pub async fn execute(aws: &Session, name: &str, set: &ChangeSet, timeout: Duration) -> Result<Self> {
        let operation = Self::prepare(aws, &set.stack_id, name, Kind::Execute, timeout).await?;
        set.execute(aws).await?;
        Ok(operation)
    }

    /// Deletes a stack without the resources in `retain`, which CloudFormation accepts for a stack whose deletion has failed
    /// (`API_DeleteStack`, `RetainResources`).
    ///
    /// # Errors
    /// A request fails.
    pub async fn delete(aws: &Session, stack: &Stack, retain: &[String], timeout: Duration) -> Result<Self> {
        let operation = Self::prepare(aws, &stack.id, &stack.name, Kind::Delete, timeout).await?;
        let retain = (!retain.is_empty()).then(|| retain.to_vec());
        let request = aws.cloudformation.delete_stack().stack_name(&stack.id);
        let request = request.set_retain_resources(retain);
        request.set_role_arn(aws.cloudformation_role()).send().await?;
        Ok(operation)
    }

    /// Follows an operation that is in progress already.
    ///
    /// # Errors
    /// A request fails.
    pub async fn attach(aws: &Session, stack: &Stack, timeout: Duration) -> Result<Self> {
        Self::prepare(aws, &stack.id, &stack.name, Kind::Attached, timeout).await
    }

    /// Records the events so far; called before the operation starts.
    async fn prepare(aws: &Session, id: &str, name: &str, kind: Kind, timeout: Duration) -> Result<Self> {
        let events = stack_events::stack_events(aws, id).await?;
        Ok(Self {
            aws: aws.clone(),
            id: id.to_owned(),
            name: name.to_owned(),
            description: match kind {
                Kind::Delete => format!("the deletion of stack {name}"),
                _ => format!("stack {name}"),
            },
            known: events.into_iter().map(|event| event.id).collect(),
            events: Vec::new(),
            wait: aws.wait(timeout),
            polled: false,
            kind,
        })
    }

    /// Waits for the next poll, and returns its news. A stack that does not exist any more has been deleted, whether or not its
    /// endpoint keeps the events of deleted stacks.
    ///
    /// # Errors
    /// A request fails, or the timeout has passed.
    pub async fn poll(&mut self) -> Result<Progress> {
        let first = !std::mem::replace(&mut self.polled, true);
        if !first {
            let last = || {
                let last = self.events.last()?;
                Some(format!("{} {}", last.logical_id, last.status))
            };
            self.wait.check(|| self.description.clone(), last)?;
            self.wait.pause().await;
        }
        let mut progress = Progress::default();
        match stack_events::new_events(&self.aws, &self.id, &self.known).await? {
            None => progress.status = Some("DELETE_COMPLETE".to_owned()),
            Some(mut events) => {
                events.reverse();
                progress.events = events;
            }
        }
        for event in &progress.events {
            self.known.insert(event.id.clone());
            self.events.push(event.clone());
            if event.is_stack {
                progress.status = is_final(&event.status).then(|| event.status.clone());
            }
        }
        if !progress.events.is_empty() {
            self.wait.changed();
        }
        if progress.status.is_none() && (self.kind == Kind::Delete || self.kind == Kind::Attached && first) {
            let now = stack::find_stack(&self.aws, &self.id).await?;
            let status = now.map_or_else(|| "DELETE_COMPLETE".to_owned(), |now| now.status);
            let ended = match self.kind {
                // Until a second deletion starts, the status is that of the first.
                Kind::Delete => status == "DELETE_COMPLETE",
                _ => is_final(&status),
            };
            progress.status = ended.then_some(status);
        }
        Ok(progress)
    }

    /// Records activity that is not in the stack's events, so that the next poll comes soon.
    pub fn changed(&mut self) {
        self.wait.changed();
    }

    /// Returns the events of this operation so far, oldest first.
    pub fn events(&self) -> &[StackEvent] {
        &self.events
    }

    /// Returns whether the operation has failed and is being rolled back.
    pub fn is_rolling_back(&self) -> bool {
        let mut own = self.events.iter().filter(|event| event.is_stack);
        own.any(|event| event.status.contains("ROLLBACK"))
    }

    /// Returns the time since the operation was started or attached.
    pub fn elapsed(&self) -> Duration {
        self.wait.elapsed()
    }

    /// Returns the failure of an operation that ended in this status.
    pub fn failure(&self, status: &str) -> StackFailure {
        let mut failure = StackFailure::from_events(&self.name, status, &self.events);
        if failure.resource.is_none() && status == "DELETE_COMPLETE" && self.kind == Kind::Execute {
            failure.reason = Some("the stack was deleted by someone else during the operation".to_owned());
        }
        failure
    }

    /// Returns the error for a failure: `Stuck` if the stack needs another operation, else `Failed`.
    pub fn error(&self, failure: StackFailure) -> Error {
        match failure.status.as_str() {
            "UPDATE_ROLLBACK_FAILED" | "ROLLBACK_FAILED" | "DELETE_FAILED" => Error::Stuck {
                stack: self.name.clone(),
                reason: stuck_reason(&failure, &self.events),
                status: failure.status,
            },
            _ => Error::Failed(Box::new(failure)),
        }
    }

    /// Returns what a deletion that ended in this status has retained.
    ///
    /// # Errors
    /// The deletion failed; the error names each resource that could not be deleted.
    pub async fn retained(&self, status: &str) -> Result<Vec<RetainedResource>> {
        if status == "DELETE_COMPLETE" {
            // An earlier attempt, or a replacement, may have retained resources, too.
            let all = stack_events::stack_events(&self.aws, &self.id).await;
            return Ok(skipped(&self.name, all.as_ref().unwrap_or(&self.events)));
        }
        let reason = deletion_failures(&self.events);
        Err(Error::Stuck {
            stack: self.name.clone(),
            status: status.to_owned(),
            reason: reason.or_else(|| self.failure(status).reason),
        })
    }
}

/// Returns what failed first, and what then could not be rolled back, which is what blocks the stack.
fn stuck_reason(failure: &StackFailure, events: &[StackEvent]) -> Option<String> {
    let rollback = events
        .iter()
        .position(|event| event.is_stack && event.status.contains("ROLLBACK"));
    let after = rollback.map_or(events, |at| &events[at..]);
    let line = |resource: &str, resource_type: &str, reason: Option<&str>| {
        format!("{resource} ({resource_type}): {}", reason.unwrap_or("no reason given"))
    };
    let first = match (&failure.resource, &failure.resource_type) {
        (Some(resource), resource_type) => Some(line(
            resource,
            resource_type.as_deref().unwrap_or("?"),
            failure.reason.as_deref(),
        )),
        (None, _) => failure.reason.clone(),
    };
    let blocker = after.iter().find(|event| event.is_cause());
    let blocker = blocker.map(|event| line(&event.logical_id, &event.resource_type, event.reason.as_deref()));
    match (first, blocker) {
        (Some(first), Some(blocker)) if first != blocker => {
            Some(format!("{first}; the rollback failed because of {blocker}"))
        }
        (first, blocker) => first.or(blocker),
    }
}

/// Returns the resources that the events report as skipped, each once.
fn skipped(stack: &str, events: &[StackEvent]) -> Vec<RetainedResource> {
    let mut found: Vec<RetainedResource> = Vec::new();
    for event in events {
        let skipped = event.status == "DELETE_SKIPPED" && !event.is_stack;
        if skipped && !found.iter().any(|known| known.physical_id == event.physical_id) {
            found.push(RetainedResource {
                stack: stack.to_owned(),
                logical_id: event.logical_id.clone(),
                resource_type: event.resource_type.clone(),
                physical_id: event.physical_id.clone(),
            });
        }
    }
    found
}

/// Returns each resource that could not be deleted, with its reason.
fn deletion_failures(events: &[StackEvent]) -> Option<String> {
    let mut lines: Vec<String> = Vec::new();
    for event in events {
        if event.is_stack || event.status != "DELETE_FAILED" {
            continue;
        }
        let reason = event.reason.as_deref().unwrap_or("no reason given");
        let line = format!("{} ({}): {reason}", event.logical_id, event.resource_type);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    (!lines.is_empty()).then(|| lines.join("; "))
}
