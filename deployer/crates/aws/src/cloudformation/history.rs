//! The history of a stack from its events: its status alone does not show it.

use std::collections::HashSet;

use super::stack::Stack;
use super::stack_events::{StackEvent, stack_events};
use crate::error::Result;
use crate::session::Session;

/// The answer to whether a stack was ever complete: then it may hold data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EverCompleted {
    /// An event says that it was complete.
    #[serde(rename = "complete")]
    Yes,
    /// All events are known, and none says so.
    #[serde(rename = "never")]
    No,
    /// Its events do not reach back to its creation; CloudFormation keeps them for 90 days.
    Unknown,
}

impl EverCompleted {
    /// Judges all events of a stack, in any order.
    ///
    /// The status is not enough: on some endpoints an *update* that failed ends in `ROLLBACK_COMPLETE`, which on AWS is the end of a
    /// creation.
    pub fn from_events(events: &[StackEvent]) -> Self {
        let mut own = events.iter().filter(|event| event.is_stack);
        let completed =
            |status: &str| matches!(status, "CREATE_COMPLETE" | "IMPORT_COMPLETE") || status.starts_with("UPDATE_");
        if own.clone().any(|event| completed(&event.status)) {
            return Self::Yes;
        }
        if own.any(|event| matches!(event.status.as_str(), "CREATE_IN_PROGRESS" | "REVIEW_IN_PROGRESS")) {
            Self::No
        } else {
            Self::Unknown
        }
    }

    /// Reads the events of a stack and judges them; returns the events, too, newest first.
    ///
    /// # Errors
    /// The request fails.
    pub async fn inspect(aws: &Session, stack: &Stack) -> Result<(Self, Vec<StackEvent>)> {
        let events = stack_events(aws, &stack.id).await?;
        // A stack that was only reviewed has no events, or one.
        let completed = match (stack.status.as_str(), Self::from_events(&events)) {
            ("REVIEW_IN_PROGRESS", Self::Unknown) => Self::No,
            (_, completed) => completed,
        };
        Ok((completed, events))
    }
}

/// Returns the events of the last operation, oldest first; `events` are newest first.
pub fn last_operation(events: &[StackEvent]) -> Vec<StackEvent> {
    let starts = |event: &StackEvent| {
        event.is_stack
            && matches!(
                event.status.as_str(),
                "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "DELETE_IN_PROGRESS" | "IMPORT_IN_PROGRESS"
            )
    };
    let start = events.iter().position(starts).map_or(events.len(), |at| at + 1);
    events[..start].iter().rev().cloned().collect()
}

/// Returns the resources that the last rollback of an update could not restore, with their reasons; `events` are newest first.
pub fn rollback_failures(events: &[StackEvent]) -> Vec<(String, Option<String>)> {
    let start = events
        .iter()
        .position(|event| event.is_stack && event.status == "UPDATE_ROLLBACK_IN_PROGRESS")
        .unwrap_or(events.len());
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    let mut known = HashSet::new();
    // The last event of each resource counts.
    for event in events[..start].iter().filter(|event| !event.is_stack) {
        if known.insert(&event.logical_id) && event.is_cause() {
            found.push((event.logical_id.clone(), event.reason.clone()));
        }
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns events from `stack:STATUS` or `Resource:STATUS`, oldest first, in CloudFormation's order: newest first.
    fn events(list: &[&str]) -> Vec<StackEvent> {
        let event = |text: &&str| {
            let (resource, status) = text.split_once(':').expect("a pair");
            StackEvent {
                id: String::new(),
                logical_id: resource.into(),
                physical_id: String::new(),
                resource_type: String::new(),
                status: status.into(),
                reason: None,
                is_stack: resource == "stack",
                time: 0.0,
            }
        };
        list.iter().rev().map(event).collect()
    }

    #[test]
    fn the_history_shows_whether_a_stack_was_complete_whatever_its_status() {
        let failed_creation = [
            "stack:CREATE_IN_PROGRESS",
            "Db:CREATE_COMPLETE",
            "stack:ROLLBACK_COMPLETE",
        ];
        let completed = |list: &[&str]| EverCompleted::from_events(&events(list));
        assert_eq!(completed(&failed_creation), EverCompleted::No);
        let failed_update = [
            "stack:CREATE_IN_PROGRESS",
            "stack:CREATE_COMPLETE",
            "stack:ROLLBACK_IN_PROGRESS",
            "stack:ROLLBACK_COMPLETE",
        ];
        assert_eq!(completed(&failed_update), EverCompleted::Yes);
        assert_eq!(completed(&["stack:UPDATE_IN_PROGRESS"]), EverCompleted::Yes);
        assert_eq!(
            completed(&["stack:DELETE_FAILED"]),
            EverCompleted::Unknown,
            "older events have expired"
        );
    }

    #[test]
    fn only_resources_that_the_rollback_could_not_restore_are_worth_skipping() {
        let history = events(&[
            "stack:UPDATE_IN_PROGRESS",
            "Early:UPDATE_FAILED",
            "stack:UPDATE_ROLLBACK_IN_PROGRESS",
            "Early:UPDATE_COMPLETE",
            "Second:UPDATE_FAILED",
            "Second:UPDATE_COMPLETE",
            "Db:UPDATE_FAILED",
            "stack:UPDATE_ROLLBACK_FAILED",
        ]);
        let names: Vec<String> = rollback_failures(&history).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Db"]);
        assert_eq!(last_operation(&history).len(), 8);
    }
}
