//! Counts the results of a deployment's stacks for its summary.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::event::{FirstFailure, RunOutcome, Summary};
use super::{Event, Sentiment, format_elapsed};

/// Collects the summary of one deployment from its events.
#[derive(Debug, Default)]
pub struct SummaryBuilder {
    /// Start of the deployment; nothing is counted before.
    start: Option<Duration>,
    planned: Vec<String>,
    results: BTreeMap<String, StackResult>,
    cancelled: usize,
    first_failure: Option<FirstFailure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StackResult {
    Created,
    Updated,
    Deleted,
    Unchanged,
    Failed,
    InProgress,
}

impl SummaryBuilder {
    pub fn event(&mut self, event: &Event, now: Duration) {
        match event {
            Event::Plan { stacks, .. } => {
                *self = Self::default();
                self.start = Some(now);
                self.planned = stacks.iter().map(|planned| planned.stack.clone()).collect();
            }
            Event::Stack { stack, .. } => {
                self.start.get_or_insert(now);
                self.results.insert(stack.clone(), StackResult::InProgress);
            }
            Event::Resource {
                stack,
                resource,
                resource_type,
                status,
                reason,
                cancelled,
            } if status.ends_with("_FAILED") => {
                self.cancelled += usize::from(*cancelled);
                if !cancelled && self.first_failure.is_none() {
                    self.first_failure = Some(FirstFailure {
                        stack: stack.clone(),
                        resource: resource.clone(),
                        resource_type: resource_type.clone(),
                        reason: reason.clone(),
                    });
                }
            }
            Event::StackEnded {
                stack,
                status,
                sentiment,
                ..
            } => {
                let result = match status.as_str() {
                    "unchanged" => StackResult::Unchanged,
                    "CREATE_COMPLETE" => StackResult::Created,
                    "DELETE_COMPLETE" => StackResult::Deleted,
                    _ if *sentiment == Sentiment::Bad => StackResult::Failed,
                    _ => StackResult::Updated,
                };
                self.results.insert(stack.clone(), result);
            }
            _ => {}
        }
    }

    /// Returns the counts, once; `None` if no stack was planned or changed since.
    pub fn finish(&mut self, outcome: RunOutcome, now: Duration) -> Option<Summary> {
        let start = self.start.take()?;
        let count = |result: StackResult| self.results.values().filter(|known| **known == result).count();
        let skipped = self.planned.iter().filter(|name| !self.results.contains_key(*name));
        Some(Summary {
            outcome,
            created: count(StackResult::Created),
            updated: count(StackResult::Updated),
            deleted: count(StackResult::Deleted),
            unchanged: count(StackResult::Unchanged),
            failed: count(StackResult::Failed),
            in_progress: count(StackResult::InProgress),
            skipped: skipped.count(),
            cancelled: self.cancelled,
            seconds: now.saturating_sub(start).as_secs_f32(),
            first_failure: self.first_failure.take(),
        })
    }
}

/// `3 stacks created, 1 unchanged; ready (2 min 3 s)`.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.failed, "failed"),
            (self.in_progress, "in progress"),
            (self.created, "created"),
            (self.updated, "updated"),
            (self.deleted, "deleted"),
            (self.unchanged, "unchanged"),
            (self.skipped, "skipped"),
        ];
        let mut parts = Vec::new();
        for (count, result) in counts.into_iter().filter(|(count, _)| *count > 0) {
            let noun = match (parts.is_empty(), count) {
                (false, _) => "",
                (true, 1) => " stack",
                (true, _) => " stacks",
            };
            parts.push(format!("{count}{noun} {result}"));
        }
        let parts = parts.join(", ");
        let changed = self.created + self.updated + self.deleted > 0;
        match self.outcome {
            RunOutcome::Serves if changed => write!(f, "{parts}; ready")?,
            RunOutcome::Serves => f.write_str("nothing to do; ready")?,
            RunOutcome::Complete if changed => write!(f, "{parts}; readiness was not checked")?,
            RunOutcome::Complete => f.write_str("nothing to do; readiness was not checked")?,
            RunOutcome::Failed if self.failed == 0 => write!(f, "failed: {parts}")?,
            RunOutcome::Deleted | RunOutcome::Failed => f.write_str(&parts)?,
            RunOutcome::Stuck => write!(f, "stuck: {parts}")?,
            RunOutcome::TimedOut => write!(f, "timed out: {parts}")?,
            RunOutcome::Interrupted => write!(f, "interrupted: {parts}")?,
        }
        match self.cancelled {
            0 => {}
            1 => f.write_str("; 1 resource cancelled as a consequence")?,
            many => write!(f, "; {many} resources cancelled as a consequence")?,
        }
        write!(f, " ({})", format_elapsed(self.seconds))
    }
}
