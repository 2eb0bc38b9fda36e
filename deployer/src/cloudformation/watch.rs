//! Follows an operation on a stack through its events until it ends.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_cloudformation::types::StackEvent;

use super::patience::Patience;
use crate::error::{Error, Result};
use crate::target::{Aws, Wait};
use ui::{Event, Ui};

/// An event of a stack, without the SDK's wrapping.
#[derive(Debug, Clone)]
pub struct Seen {
    pub id: String,
    pub resource: String,
    pub physical: String,
    pub kind: String,
    pub status: String,
    pub reason: Option<String>,
    /// Whether it is about the stack itself.
    pub is_stack: bool,
    /// Seconds since 1970.
    pub time: f64,
}

impl From<StackEvent> for Seen {
    fn from(event: StackEvent) -> Self {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        Self {
            id: text(event.event_id()),
            resource: text(event.logical_resource_id()),
            physical: text(event.physical_resource_id()),
            kind: text(event.resource_type()),
            status: text(event.resource_status().map(|s| s.as_str())),
            reason: event
                .resource_status_reason()
                .filter(|r| !r.is_empty())
                .map(str::to_owned),
            is_stack: event.physical_resource_id().is_some() && event.physical_resource_id() == event.stack_id(),
            time: event.timestamp().map_or(0.0, |time| time.as_secs_f64()),
        }
    }
}

impl Seen {
    /// Whether the resource failed because another one did: a victim, not a cause.
    pub fn is_cancelled(&self) -> bool {
        let reason = self.reason.as_deref().unwrap_or_default().to_lowercase();
        self.status.ends_with("_FAILED") && (reason.contains("cancelled") || reason.contains("canceled"))
    }
}

/// How many known events in a row say that all older ones are known: resources that are worked on side by side may be
/// told a little out of order, and a failure that was missed would leave a rollback without its reason.
const REACH: usize = 25;

/// Tells new events from known ones.
struct Sieve<'a> {
    known: &'a HashSet<String>,
    /// Known events since the last new one.
    run: usize,
}

impl Sieve<'_> {
    /// Whether an event is new; none once nothing new is to be expected.
    fn takes(&mut self, id: &str) -> Option<bool> {
        if !self.known.contains(id) {
            self.run = 0;
            return Some(true);
        }
        self.run += 1;
        (self.run < REACH).then_some(false)
    }
}

/// The events of a stack that `known` does not hold, newest first; none of a stack that is not there.
pub async fn events(aws: &Aws, stack: &str, known: &HashSet<String>) -> Result<Vec<Seen>> {
    Ok(read(aws, stack, known).await?.unwrap_or_default())
}

/// The same; `None` when the stack is not there.
async fn read(aws: &Aws, stack: &str, known: &HashSet<String>) -> Result<Option<Vec<Seen>>> {
    let mut pages = aws
        .cloudformation
        .describe_stack_events()
        .stack_name(stack)
        .into_paginator()
        .items()
        .send();
    let mut found = Vec::new();
    let mut sieve = Sieve { known, run: 0 };
    while let Some(event) = pages.next().await {
        match event.map_err(Error::from) {
            Ok(event) => {
                let event = Seen::from(event);
                match sieve.takes(&event.id) {
                    Some(true) => found.push(event),
                    Some(false) => {}
                    None => break,
                }
            }
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(found))
}

/// An operation that is being followed.
pub struct Watch {
    /// The stack's id: a deleted stack is found by it alone.
    pub id: String,
    /// The name that is shown.
    pub name: String,
    known: HashSet<String>,
    /// The events of this operation, oldest first.
    pub seen: Vec<Seen>,
}

impl Watch {
    /// Notes what has happened before; call it before the operation starts.
    pub async fn begin(aws: &Aws, id: &str, name: &str) -> Result<Self> {
        let known = events(aws, id, &HashSet::new())
            .await?
            .into_iter()
            .map(|event| event.id)
            .collect();
        Ok(Self {
            id: id.to_owned(),
            name: name.to_owned(),
            known,
            seen: Vec::new(),
        })
    }

    /// Takes the new events in, shows them, and gives the status in which the operation ended, if it did. A stack that is
    /// not there any more has been deleted, whether its endpoint keeps the events of deleted stacks or not.
    pub async fn look(&mut self, aws: &Aws, ui: &Ui) -> Result<Option<String>> {
        let mut ended = None;
        let Some(mut fresh) = read(aws, &self.id, &self.known).await? else {
            return Ok(Some("DELETE_COMPLETE".to_owned()));
        };
        fresh.reverse();
        for event in fresh {
            self.known.insert(event.id.clone());
            if event.is_stack {
                ended = is_final(&event.status).then(|| event.status.clone());
                let (stack, status) = (self.name.clone(), event.status.clone());
                if status.ends_with("CLEANUP_IN_PROGRESS") {
                    ui.emit(Event::StackCleaningUp { stack, status });
                } else if status.ends_with("ROLLBACK_IN_PROGRESS") {
                    let reason = event.reason.clone();
                    ui.emit(Event::StackRollingBack { stack, status, reason });
                }
            } else {
                ui.emit(Event::Resource {
                    stack: self.name.clone(),
                    resource: event.resource.clone(),
                    kind: event.kind.clone(),
                    status: event.status.clone(),
                    reason: event.reason.clone(),
                    cancelled: event.is_cancelled(),
                });
            }
            self.seen.push(event);
        }
        Ok(ended)
    }

    /// Waits until the operation has ended, and gives the stack's status then.
    pub async fn until_ended(&mut self, aws: &Aws, ui: &Ui, limit: Duration) -> Result<String> {
        let mut wait = aws.wait(limit);
        let mut patience = Patience::new(aws.clock);
        loop {
            let before = self.seen.len();
            let looked = self.look(aws, ui).await;
            if let Some(Some(status)) = patience.bear(ui, looked)? {
                return Ok(status);
            }
            if self.seen.len() > before {
                wait.notice();
            }
            self.within(&wait)?;
            wait.pause().await;
        }
    }

    /// Whether the operation has failed, and is being undone.
    pub fn goes_back(&self) -> bool {
        let undoes = |event: &Seen| event.is_stack && event.status.contains("ROLLBACK");
        self.seen.iter().any(undoes)
    }

    /// An error when the operation takes longer than it may.
    pub fn within(&self, wait: &Wait) -> Result<()> {
        let last = || {
            let last = self.seen.last()?;
            Some(format!("{} {}", last.resource, last.status))
        };
        wait.within(|| format!("stack {}", self.name), last)
    }
}

/// Whether a stack in this status has come to rest.
pub fn is_final(status: &str) -> bool {
    status.ends_with("_COMPLETE") || status.ends_with("_FAILED")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_is_told_late_is_not_missed() {
        let known: HashSet<String> = (0..100).map(|number| format!("known {number}")).collect();
        let mut sieve = Sieve { known: &known, run: 0 };
        let told = ["new", "known 99", "known 98", "late", "known 97"];
        let taken = told.map(|id| sieve.takes(id));
        assert_eq!(taken, [Some(true), Some(false), Some(false), Some(true), Some(false)]);
        let rest = (0..97).rev().map(|number| sieve.takes(&format!("known {number}")));
        assert_eq!(
            rest.take_while(Option::is_some).count(),
            REACH - 2,
            "it ends, however long the history is"
        );
    }

    #[test]
    fn a_cleanup_is_not_the_end() {
        assert!(is_final("UPDATE_COMPLETE") && is_final("ROLLBACK_FAILED"));
        assert!(!is_final("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"));
    }
}
