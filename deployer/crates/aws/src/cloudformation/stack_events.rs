//! Events of a stack.

use std::collections::HashSet;

use super::stack::is_stack_missing;
use crate::error::{Error, Result};
use crate::session::Session;

/// An event of a stack or of one of its resources.
#[derive(Debug, Clone)]
pub struct StackEvent {
    /// The ID of the event, unique in the stack.
    pub id: String,
    /// The logical ID of the resource; for the stack itself its name.
    pub logical_id: String,
    /// The physical ID of the resource, empty until it is known.
    pub physical_id: String,
    /// The CloudFormation type of the resource.
    pub resource_type: String,
    /// The status of the resource, such as `CREATE_IN_PROGRESS`.
    pub status: String,
    /// The reason of the status, if CloudFormation gives one.
    pub reason: Option<String>,
    /// True if it is an event of the stack itself.
    pub is_stack: bool,
    /// Seconds since 1970.
    pub time: f64,
}

impl From<aws_sdk_cloudformation::types::StackEvent> for StackEvent {
    fn from(event: aws_sdk_cloudformation::types::StackEvent) -> Self {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let reason = event.resource_status_reason().filter(|reason| !reason.is_empty());
        Self {
            id: text(event.event_id()),
            logical_id: text(event.logical_resource_id()),
            physical_id: text(event.physical_resource_id()),
            resource_type: text(event.resource_type()),
            status: text(event.resource_status().map(|s| s.as_str())),
            reason: reason.map(str::to_owned),
            is_stack: event.physical_resource_id().is_some() && event.physical_resource_id() == event.stack_id(),
            time: event
                .timestamp()
                .map_or(0.0, aws_sdk_cloudformation::primitives::DateTime::as_secs_f64),
        }
    }
}

impl StackEvent {
    /// Returns whether the resource was cancelled because another one failed. CloudFormation reports that in the reason only.
    pub fn is_cancelled(&self) -> bool {
        let reason = self.reason.as_deref().unwrap_or_default().to_lowercase();
        self.status.ends_with("_FAILED") && (reason.contains("cancelled") || reason.contains("canceled"))
    }

    /// Returns whether it is the failure of a resource, and not a consequence of another one's.
    pub(super) fn is_cause(&self) -> bool {
        self.status.ends_with("_FAILED") && !self.is_stack && !self.is_cancelled()
    }
}

/// Number of known events in a row after which all older ones are known, too. Events of concurrent resources may be reported a
/// little out of order, and a failure that is missed would leave a rollback without its reason.
const KNOWN_EVENTS_BEFORE_STOP: usize = 25;

/// Selects the new events of a list, newest first.
struct NewEventFilter<'a> {
    known: &'a HashSet<String>,
    /// Known events since the last new one.
    run: usize,
}

impl NewEventFilter<'_> {
    /// Returns whether an event is new; `None` once all older ones are known.
    fn accepts(&mut self, id: &str) -> Option<bool> {
        if !self.known.contains(id) {
            self.run = 0;
            return Some(true);
        }
        self.run += 1;
        (self.run < KNOWN_EVENTS_BEFORE_STOP).then_some(false)
    }
}

/// Returns all events of a stack, newest first; empty if it does not exist.
///
/// # Errors
/// The request fails.
pub async fn stack_events(aws: &Session, stack: &str) -> Result<Vec<StackEvent>> {
    Ok(new_events(aws, stack, &HashSet::new()).await?.unwrap_or_default())
}

/// Returns the events of a stack that are not in `known`, newest first; `None` if the stack does not exist.
pub(super) async fn new_events(aws: &Session, stack: &str, known: &HashSet<String>) -> Result<Option<Vec<StackEvent>>> {
    let request = aws.cloudformation.describe_stack_events().stack_name(stack);
    let mut pages = request.into_paginator().items().send();
    let mut found = Vec::new();
    let mut filter = NewEventFilter { known, run: 0 };
    while let Some(event) = pages.next().await {
        match event.map_err(Error::from) {
            Ok(event) => {
                let event = StackEvent::from(event);
                match filter.accepts(&event.id) {
                    Some(true) => found.push(event),
                    Some(false) => {}
                    None => break,
                }
            }
            Err(error) if is_stack_missing(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_is_reported_late_is_not_missed() {
        let known: HashSet<String> = (0..100).map(|number| format!("known {number}")).collect();
        let mut filter = NewEventFilter { known: &known, run: 0 };
        let reported = ["new", "known 99", "known 98", "late", "known 97"];
        let accepted = reported.map(|id| filter.accepts(id));
        assert_eq!(
            accepted,
            [Some(true), Some(false), Some(false), Some(true), Some(false)]
        );
        let rest = (0..97).rev().map(|number| filter.accepts(&format!("known {number}")));
        assert_eq!(
            rest.take_while(Option::is_some).count(),
            KNOWN_EVENTS_BEFORE_STOP - 2,
            "it ends, however long the history is"
        );
    }
}
