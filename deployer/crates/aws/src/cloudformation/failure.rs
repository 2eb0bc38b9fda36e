//! The failure of an operation: the first resource that failed, and its reason.

use std::fmt;

use serde::Serialize;

use super::stack_events::StackEvent;

/// A stack operation that failed and was rolled back.
#[derive(Debug, Clone, Serialize)]
pub struct StackFailure {
    /// The name of the stack.
    pub stack: String,
    /// The status of the stack at the end of the operation.
    pub status: String,
    /// The logical ID of the first resource that failed.
    pub resource: Option<String>,
    /// The CloudFormation type of that resource.
    pub resource_type: Option<String>,
    /// The reason that CloudFormation gives for it.
    pub reason: Option<String>,
    /// Number of other resources that were cancelled as a consequence.
    pub cancelled: usize,
    /// Time of the first failure, in seconds since 1970; of several failures the earliest is shown first.
    pub at: f64,
}

impl StackFailure {
    /// Returns the failure of an operation from its events, oldest first. Cancelled resources are consequences, not causes.
    pub fn from_events(stack: &str, status: &str, events: &[StackEvent]) -> Self {
        let first = events.iter().find(|event| event.is_cause());
        let own = || events.iter().filter(|e| e.is_stack).find_map(|e| e.reason.clone());
        let cancelled = events.iter().filter(|event| !event.is_stack && event.is_cancelled());
        Self {
            stack: stack.to_owned(),
            status: status.to_owned(),
            resource: first.map(|event| event.logical_id.clone()),
            resource_type: first.map(|event| event.resource_type.clone()),
            reason: first.and_then(|event| event.reason.clone()).or_else(own),
            cancelled: cancelled.count(),
            at: first.or(events.last()).map_or(f64::MAX, |event| event.time),
        }
    }

    /// Names another cause, if no resource failed by itself because the operation was cancelled.
    pub fn set_cause(&mut self, resource: &str, resource_type: &str, reason: String) {
        if self.resource.is_some() {
            return;
        }
        self.resource = Some(resource.to_owned());
        self.resource_type = Some(resource_type.to_owned());
        self.reason = Some(reason);
        self.cancelled = self.cancelled.saturating_sub(1);
    }
}

impl fmt::Display for StackFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stack {} ended in {}", self.stack, self.status)?;
        if let (Some(resource), Some(resource_type)) = (&self.resource, &self.resource_type) {
            write!(f, "; the first resource that failed is {resource} ({resource_type})")?;
        }
        if let Some(reason) = &self.reason {
            write!(f, ": {reason}")?;
        }
        match self.cancelled {
            0 => Ok(()),
            1 => f.write_str(" (1 other resource cancelled as a consequence)"),
            many => write!(f, " ({many} other resources cancelled as a consequence)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(resource: &str, status: &str, reason: &str) -> StackEvent {
        StackEvent {
            id: String::new(),
            logical_id: resource.into(),
            physical_id: String::new(),
            resource_type: "AWS::Logs::LogGroup".into(),
            status: status.into(),
            reason: (!reason.is_empty()).then(|| reason.into()),
            is_stack: false,
            time: 0.0,
        }
    }

    #[test]
    fn the_first_cause_is_named_and_not_its_consequences() {
        let events = [
            event("Good", "CREATE_COMPLETE", ""),
            event("Victim", "CREATE_FAILED", "Resource creation cancelled"),
            event("Cause", "CREATE_FAILED", "no such subnet"),
            event("Later", "CREATE_FAILED", "something else"),
        ];
        let failure = StackFailure::from_events("s", "ROLLBACK_COMPLETE", &events);
        insta::assert_snapshot!(failure, @"stack s ended in ROLLBACK_COMPLETE; the first resource that failed is Cause (AWS::Logs::LogGroup): no such subnet (1 other resource cancelled as a consequence)");
    }
}
