//! What happens during an operation, independent of how it is shown.

use serde::Serialize;
use serde_json::Value;

use crate::ecs::rollout::Rollout;

/// One thing that happened. With `--json` it is a line; `deployer/schema/events.v1.json` is its shape.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Note {
        text: String,
    },
    Warning {
        text: String,
    },
    /// What a deployment is about to do, before anything is done.
    Plan {
        project: String,
        environment: String,
        place: String,
        stacks: Vec<Planned>,
        /// Stacks that exist and that the manifest no longer has; they are left alone.
        left: Vec<String>,
    },
    /// An operation on a stack starts; `resources` is how many will be touched, 0 when not known.
    Stack {
        stack: String,
        action: &'static str,
        resources: usize,
        /// How long the whole of it is expected to take, where that is known.
        expected_seconds: Option<u32>,
    },
    /// A stack waits for something that is no resource.
    StackWaits {
        stack: String,
        on: String,
    },
    /// A stack turns to something else before it ends: it rolls back, or cleans up.
    StackTurns {
        stack: String,
        status: String,
        reason: Option<String>,
    },
    Resource {
        stack: String,
        resource: String,
        kind: String,
        status: String,
        reason: Option<String>,
        /// Whether it was cancelled because of another one's failure: a consequence, not a cause.
        cancelled: bool,
    },
    StackEnded {
        stack: String,
        status: String,
        mood: Mood,
        seconds: f32,
    },
    /// What goes on with the images: pushing, pushed, unchanged, skipped where the endpoint has no registry, or loaded.
    Image {
        service: String,
        step: &'static str,
        detail: String,
    },
    /// How much of an image the registry has got, in bytes; several times a second at most.
    Upload {
        service: String,
        sent: u64,
        total: u64,
    },
    /// A line that the compiler says.
    Compiler {
        line: String,
    },
    /// How an ECS service goes from one revision to the next.
    Rollout {
        stack: String,
        resource: String,
        rollout: Rollout,
    },
    /// How far the system is on its way to serve.
    Serving {
        state: String,
    },
    /// A task of a service stopped while it was deployed.
    TaskStopped {
        service: String,
        /// The last part of its ARN.
        task: String,
        reason: String,
        exit_code: Option<i32>,
        log: Vec<String>,
        /// How many tasks have stopped for this reason until now; their logs are shown once.
        times: u32,
    },
    Log {
        service: String,
        time: String,
        stream: String,
        message: String,
    },
    Result {
        kind: &'static str,
        value: Value,
    },
    Error {
        message: String,
        hint: Option<String>,
        exit_code: u8,
    },
    /// How a deployment ended, once.
    Summary(Summary),
}

/// A stack of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct Planned {
    pub stack: String,
    pub short: String,
    /// Whether it exists already.
    pub exists: bool,
    /// The names of the stacks that come first.
    pub needs: Vec<String>,
    /// How long it is expected to take by itself, where that is known before anything has been looked at.
    pub expected_seconds: Option<u32>,
}

/// The stacks of a run, counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    pub outcome: Outcome,
    pub created: usize,
    pub updated: usize,
    pub deleted: usize,
    pub unchanged: usize,
    pub failed: usize,
    /// Begun and not ended: what CloudFormation works on goes on.
    pub open: usize,
    pub not_begun: usize,
    /// Resources that were cancelled because another one failed.
    pub cancelled: usize,
    pub seconds: f32,
    /// The resource whose failure came first.
    pub first_failure: Option<FirstFailure>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Serves,
    /// The stacks are complete; whether the system serves was not asked.
    Complete,
    Deleted,
    #[default]
    Failed,
    Stuck,
    TimedOut,
    Interrupted,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FirstFailure {
    pub stack: String,
    pub resource: String,
    pub kind: String,
    pub reason: Option<String>,
}

/// The sentiment of a status, from which its colour follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mood {
    Good,
    Busy,
    Bad,
    Neutral,
}

impl Mood {
    /// What a CloudFormation or ECS status means for a person.
    pub fn of(status: &str) -> Self {
        match status {
            s if s.contains("FAILED") || s.contains("ROLLBACK") || s.contains("UNHEALTHY") => Self::Bad,
            s if s.ends_with("_IN_PROGRESS") || s == "PENDING" => Self::Busy,
            s if s.ends_with("_COMPLETE") || matches!(s, "COMPLETED" | "ACTIVE" | "HEALTHY" | "unchanged") => {
                Self::Good
            }
            _ => Self::Neutral,
        }
    }
}

impl Event {
    /// The class of an event: what a program reads first.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Plan { .. }
            | Self::Result {
                kind: "diff" | "estimate" | "destroy_plan",
                ..
            } => "plan",
            Self::Warning { .. } | Self::Error { .. } | Self::TaskStopped { .. } => "diagnostic",
            Self::Result { .. } => "outputs",
            Self::Summary(_) => "summary",
            _ => "progress",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_is_bad_even_when_it_completes() {
        assert_eq!(Mood::of("UPDATE_ROLLBACK_COMPLETE"), Mood::Bad);
        assert_eq!(Mood::of("UPDATE_COMPLETE"), Mood::Good);
        assert_eq!(Mood::of("CREATE_IN_PROGRESS"), Mood::Busy);
    }
}
