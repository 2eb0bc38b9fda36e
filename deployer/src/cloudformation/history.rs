//! What a stack has been, from its events: its state alone does not tell.

use std::collections::HashSet;

use super::stack::Existing;
use super::watch::{self, Seen};
use crate::error::Result;
use crate::target::Aws;

/// Whether a stack has ever been whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Past {
    /// It was created to the end at least once, so it may hold what people need.
    Complete,
    /// It never came that far.
    Never,
    /// Its events do not reach back to its beginning; CloudFormation keeps them for 90 days.
    Unknown,
}

impl Past {
    /// From all the events of a stack, in any order.
    ///
    /// The state does not say it: on some endpoints an *update* that failed ends in `ROLLBACK_COMPLETE`, which on AWS is
    /// the end of a creation.
    pub fn of(events: &[Seen]) -> Self {
        let mut own = events.iter().filter(|event| event.is_stack);
        let has_been =
            |status: &str| matches!(status, "CREATE_COMPLETE" | "IMPORT_COMPLETE") || status.starts_with("UPDATE_");
        if own.clone().any(|event| has_been(&event.status)) {
            return Self::Complete;
        }
        match own.any(|event| matches!(event.status.as_str(), "CREATE_IN_PROGRESS" | "REVIEW_IN_PROGRESS")) {
            true => Self::Never,
            false => Self::Unknown,
        }
    }

    /// Looks at the history of a stack.
    pub async fn look(aws: &Aws, existing: &Existing) -> Result<(Self, Vec<Seen>)> {
        let events = watch::events(aws, &existing.id, &HashSet::new()).await?;
        // A shell that was only reviewed has no events, or one.
        let past = match existing.status.as_str() {
            "REVIEW_IN_PROGRESS" if Self::of(&events) == Self::Unknown => Self::Never,
            _ => Self::of(&events),
        };
        Ok((past, events))
    }
}

/// The events of the last operation, oldest first; `events` are newest first.
pub fn last_operation(events: &[Seen]) -> Vec<Seen> {
    let begins = |event: &Seen| {
        event.is_stack
            && matches!(
                event.status.as_str(),
                "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "DELETE_IN_PROGRESS" | "IMPORT_IN_PROGRESS"
            )
    };
    let began = events.iter().position(begins).map_or(events.len(), |at| at + 1);
    events[..began].iter().rev().cloned().collect()
}

/// The resources that the last rollback of an update could not put back, with why; `events` are newest first.
pub fn not_put_back(events: &[Seen]) -> Vec<(String, Option<String>)> {
    let turned = events
        .iter()
        .position(|event| event.is_stack && event.status == "UPDATE_ROLLBACK_IN_PROGRESS")
        .unwrap_or(events.len());
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    let mut seen = HashSet::new();
    // What counts is how each resource ended.
    for event in events[..turned].iter().filter(|event| !event.is_stack) {
        if seen.insert(&event.resource) && event.status.ends_with("_FAILED") && !event.is_cancelled() {
            found.push((event.resource.clone(), event.reason.clone()));
        }
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `stack:STATUS` or `Resource:STATUS`, oldest first; given newest first, as CloudFormation does.
    fn events(list: &[&str]) -> Vec<Seen> {
        let event = |text: &&str| {
            let (resource, status) = text.split_once(':').expect("a pair");
            Seen {
                id: String::new(),
                resource: resource.into(),
                physical: String::new(),
                kind: String::new(),
                status: status.into(),
                reason: None,
                is_stack: resource == "stack",
                time: 0.0,
            }
        };
        list.iter().rev().map(event).collect()
    }

    #[test]
    fn a_stack_was_whole_when_its_history_says_so_whatever_its_state() {
        let failed_creation = [
            "stack:CREATE_IN_PROGRESS",
            "Db:CREATE_COMPLETE",
            "stack:ROLLBACK_COMPLETE",
        ];
        assert_eq!(Past::of(&events(&failed_creation)), Past::Never);
        let failed_update = [
            "stack:CREATE_IN_PROGRESS",
            "stack:CREATE_COMPLETE",
            "stack:ROLLBACK_IN_PROGRESS",
            "stack:ROLLBACK_COMPLETE",
        ];
        assert_eq!(Past::of(&events(&failed_update)), Past::Complete);
        assert_eq!(Past::of(&events(&["stack:UPDATE_IN_PROGRESS"])), Past::Complete);
        assert_eq!(
            Past::of(&events(&["stack:DELETE_FAILED"])),
            Past::Unknown,
            "older events are gone"
        );
    }

    #[test]
    fn only_what_ended_badly_in_the_rollback_is_worth_skipping() {
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
        let names: Vec<String> = not_put_back(&history).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Db"]);
        assert_eq!(last_operation(&history).len(), 8);
    }
}
