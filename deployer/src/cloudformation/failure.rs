//! Why an operation failed: the first resource that did, and what its tasks said.

use std::fmt;

use serde::Serialize;

use super::watch::Seen;
use crate::ecs::diagnose::CrashLoop;
use crate::ecs::stopped::StoppedTask;

/// A stack operation that failed and was rolled back.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    pub stack: String,
    pub status: String,
    pub resource: Option<String>,
    pub kind: Option<String>,
    pub reason: Option<String>,
    /// The task of the stack's service that stopped last while it was deployed.
    pub task: Option<StoppedTask>,
    /// How many other resources were cancelled in consequence.
    pub cancelled: usize,
    /// When the first resource failed, in seconds since 1970; of several failures the earliest is told first.
    pub at: f64,
}

impl Failure {
    /// The failure of an operation, from its events in order. Cancelled resources are victims, not causes.
    pub fn new(stack: &str, status: &str, events: &[Seen], task: Option<StoppedTask>) -> Self {
        let first = events
            .iter()
            .find(|event| event.status.ends_with("_FAILED") && !event.is_stack && !event.is_cancelled());
        let own = || events.iter().filter(|e| e.is_stack).find_map(|e| e.reason.clone());
        Self {
            stack: stack.to_owned(),
            status: status.to_owned(),
            resource: first.map(|event| event.resource.clone()),
            kind: first.map(|event| event.kind.clone()),
            reason: first.and_then(|event| event.reason.clone()).or_else(own),
            task,
            cancelled: events
                .iter()
                .filter(|event| !event.is_stack && event.is_cancelled())
                .count(),
            at: first.or(events.last()).map_or(f64::MAX, |event| event.time),
        }
    }

    /// Names a crash loop as the cause, where no resource failed by itself because the operation was cancelled.
    pub fn blame(&mut self, crash: &CrashLoop) {
        self.resource = Some(crash.resource.clone());
        self.kind = Some("AWS::ECS::Service".to_owned());
        let times = crash.times;
        self.reason = Some(format!(
            "{times} tasks stopped for the same reason, so the update was cancelled"
        ));
        self.cancelled = self.cancelled.saturating_sub(1);
    }

    pub fn hint(&self) -> String {
        let next = "correct the cause, then `deployer up` goes on from here";
        if self.status == "DELETE_COMPLETE" {
            "if it is wanted, `deployer up` makes it anew".into()
        } else if self.status.contains("DELETE") {
            format!("`deployer unstick {}` says what can be done", self.stack)
        } else {
            next.into()
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stack {} ended in {}", self.stack, self.status)?;
        if let (Some(resource), Some(kind)) = (&self.resource, &self.kind) {
            write!(f, "; the first resource that failed is {resource} ({kind})")?;
        }
        if let Some(reason) = &self.reason {
            write!(f, ": {reason}")?;
        }
        match self.cancelled {
            0 => {}
            1 => write!(f, " (1 other resource was cancelled in consequence)")?,
            many => write!(f, " ({many} other resources were cancelled in consequence)")?,
        }
        if let Some(task) = &self.task {
            write!(f, "\n{task}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(resource: &str, status: &str, reason: &str) -> Seen {
        Seen {
            id: String::new(),
            resource: resource.into(),
            physical: String::new(),
            kind: "AWS::Logs::LogGroup".into(),
            status: status.into(),
            reason: (!reason.is_empty()).then(|| reason.into()),
            is_stack: false,
            time: 0.0,
        }
    }

    #[test]
    fn the_first_cause_is_told_and_not_its_victims() {
        let events = [
            event("Good", "CREATE_COMPLETE", ""),
            event("Victim", "CREATE_FAILED", "Resource creation cancelled"),
            event("Cause", "CREATE_FAILED", "no such subnet"),
            event("Later", "CREATE_FAILED", "something else"),
        ];
        let failure = Failure::new("s", "ROLLBACK_COMPLETE", &events, None);
        assert_eq!(
            failure.to_string(),
            "stack s ended in ROLLBACK_COMPLETE; the first resource that failed is Cause (AWS::Logs::LogGroup): no such subnet (1 other resource was cancelled in consequence)"
        );
    }
}
