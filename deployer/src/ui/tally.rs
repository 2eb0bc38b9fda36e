//! Counts what becomes of a deployment's stacks, for its summary.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{FirstFailure, Outcome, Summary};
use super::{Event, Mood};

/// What has been seen of one deployment.
#[derive(Debug, Default)]
pub struct Tally {
    /// When it began; nothing is counted before.
    began: Option<Duration>,
    planned: Vec<String>,
    ends: BTreeMap<String, End>,
    cancelled: usize,
    first: Option<FirstFailure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Created,
    Updated,
    Deleted,
    Unchanged,
    Failed,
    /// It has begun, and not ended.
    Open,
}

impl Tally {
    pub fn event(&mut self, event: &Event, now: Duration) {
        match event {
            Event::Plan { stacks, .. } => {
                *self = Self::default();
                self.began = Some(now);
                self.planned = stacks.iter().map(|planned| planned.stack.clone()).collect();
            }
            Event::Stack { stack, .. } => {
                self.began.get_or_insert(now);
                self.ends.insert(stack.clone(), End::Open);
            }
            Event::Resource {
                stack,
                resource,
                kind,
                status,
                reason,
                cancelled,
            } if status.ends_with("_FAILED") => {
                self.cancelled += usize::from(*cancelled);
                if !cancelled && self.first.is_none() {
                    self.first = Some(FirstFailure {
                        stack: stack.clone(),
                        resource: resource.clone(),
                        kind: kind.clone(),
                        reason: reason.clone(),
                    });
                }
            }
            Event::StackEnded {
                stack, status, mood, ..
            } => {
                let end = match status.as_str() {
                    "unchanged" => End::Unchanged,
                    "CREATE_COMPLETE" => End::Created,
                    "DELETE_COMPLETE" => End::Deleted,
                    _ if *mood == Mood::Bad => End::Failed,
                    _ => End::Updated,
                };
                self.ends.insert(stack.clone(), end);
            }
            _ => {}
        }
    }

    /// The counts; none when no stack was planned or touched, or when they have been told.
    pub fn summary(&mut self, outcome: Outcome, now: Duration) -> Option<Summary> {
        let began = self.began.take()?;
        let count = |end: End| self.ends.values().filter(|known| **known == end).count();
        let not_begun = self.planned.iter().filter(|name| !self.ends.contains_key(*name));
        Some(Summary {
            outcome,
            created: count(End::Created),
            updated: count(End::Updated),
            deleted: count(End::Deleted),
            unchanged: count(End::Unchanged),
            failed: count(End::Failed),
            open: count(End::Open),
            not_begun: not_begun.count(),
            cancelled: self.cancelled,
            seconds: now.saturating_sub(began).as_secs_f32(),
            first_failure: self.first.take(),
        })
    }
}

impl Summary {
    /// The counts in words: what was changed, what was not, what failed.
    pub fn words(&self) -> String {
        let changed = self.created + self.updated + self.deleted;
        let mut parts = Vec::new();
        let told = [
            (self.failed, "failed"),
            (self.open, "not finished"),
            (self.created, "created"),
            (self.updated, "updated"),
            (self.deleted, "deleted"),
            (self.unchanged, "unchanged"),
            (self.not_begun, "not begun"),
        ];
        for (count, word) in told.into_iter().filter(|(count, _)| *count > 0) {
            let stacks = match (parts.is_empty(), count) {
                (false, _) => "",
                (true, 1) => " stack",
                (true, _) => " stacks",
            };
            parts.push(format!("{count}{stacks} {word}"));
        }
        let mut text = match self.outcome {
            Outcome::Serves if changed == 0 => "nothing to do; it serves".to_owned(),
            Outcome::Serves => format!("{}; it serves", parts.join(", ")),
            Outcome::Complete if changed == 0 => "nothing to do; whether it serves was not asked".to_owned(),
            Outcome::Complete => format!("{}; whether it serves was not asked", parts.join(", ")),
            Outcome::Failed if self.failed == 0 => format!("failed: {}", parts.join(", ")),
            Outcome::Deleted | Outcome::Failed => parts.join(", "),
            Outcome::Stuck => format!("stuck: {}", parts.join(", ")),
            Outcome::TimedOut => format!("timed out: {}", parts.join(", ")),
            Outcome::Interrupted => format!("interrupted: {}", parts.join(", ")),
        };
        match self.cancelled {
            0 => {}
            1 => text.push_str("; 1 resource was cancelled in consequence"),
            many => text.push_str(&format!("; {many} resources were cancelled in consequence")),
        }
        format!("{text} ({})", super::clock::took(self.seconds))
    }
}
