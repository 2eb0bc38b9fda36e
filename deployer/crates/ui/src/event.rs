//! Events of a command, independent of how they are shown.

use serde::Serialize;
use serde_json::Value;

use super::rollout::Rollout;

/// One event. With `--json` it is a line; `schema/events.v1.json` describes its fields.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Note {
        text: String,
    },
    Warning {
        text: String,
    },
    /// The stacks that a deployment will create or update, before anything is changed.
    Plan {
        project: String,
        environment: String,
        /// URL of the endpoint, or `AWS`.
        endpoint: String,
        stacks: Vec<PlannedStack>,
        /// Existing stacks that are not in the manifest and are kept.
        orphaned_stacks: Vec<String>,
    },
    /// The start of an operation on a stack; `resources` is how many it changes, 0 if unknown.
    Stack {
        stack: String,
        action: &'static str,
        resources: usize,
        /// Expected duration of the whole operation, if known.
        expected_seconds: Option<u32>,
    },
    /// A stack waits for something other than a resource.
    StackWaiting {
        stack: String,
        on: String,
    },
    /// CloudFormation undoes the operation on a stack.
    StackRollingBack {
        stack: String,
        status: String,
        reason: Option<String>,
    },
    /// CloudFormation deletes replaced or removed resources after an update or a rollback.
    StackCleaningUp {
        stack: String,
        status: String,
    },
    Resource {
        stack: String,
        resource: String,
        kind: String,
        status: String,
        reason: Option<String>,
        /// True if it was cancelled because another resource failed: a consequence, not a cause.
        cancelled: bool,
    },
    StackEnded {
        stack: String,
        status: String,
        sentiment: Sentiment,
        seconds: f32,
    },
    /// Progress of an image: pushing, pushed, unchanged, skipped if the endpoint has no registry, or loaded.
    Image {
        service: String,
        step: &'static str,
        detail: String,
    },
    /// Bytes of an image sent to the registry; a few events a second.
    Upload {
        service: String,
        sent: u64,
        total: u64,
    },
    /// A line of the compiler's output.
    Compiler {
        line: String,
    },
    /// Another crate of the images was compiled.
    Compiling {
        /// Crates that are finished.
        finished: usize,
        /// Crates in all; `None` until cargo has reported it.
        total: Option<usize>,
    },
    /// The state of an ECS service's deployments.
    Rollout {
        stack: String,
        resource: String,
        rollout: Rollout,
    },
    /// The condition that `up` still waits for before the system is ready.
    Serving {
        state: String,
    },
    /// A task of a service stopped during its deployment.
    TaskStopped {
        service: String,
        /// The last part of its ARN.
        task: String,
        reason: String,
        exit_code: Option<i32>,
        log: Vec<String>,
        /// Number of tasks that have stopped for this reason so far; their logs are shown once.
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
        /// The stable identifier of the error.
        code: &'static str,
        message: String,
        hint: Option<String>,
        exit_code: u8,
    },
    /// The end of a deployment, once.
    Summary(Summary),
}

/// A stack of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedStack {
    pub stack: String,
    pub short_name: String,
    /// True if it exists already.
    pub exists: bool,
    /// Full names of the stacks that are deployed before it.
    pub depends_on: Vec<String>,
    /// Expected duration by itself, if it is known before the deployed stack has been inspected.
    pub expected_seconds: Option<u32>,
}

/// The stacks of a run, counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    pub outcome: RunOutcome,
    pub created: usize,
    pub updated: usize,
    pub deleted: usize,
    pub unchanged: usize,
    pub failed: usize,
    /// Started and not ended: CloudFormation continues with these.
    pub in_progress: usize,
    /// Not started, because a stack before it failed or the run was interrupted.
    pub skipped: usize,
    /// Resources that were cancelled because another one failed.
    pub cancelled: usize,
    pub seconds: f32,
    /// The resource whose failure came first.
    pub first_failure: Option<FirstFailure>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    Serves,
    /// The stacks are complete; readiness was not checked.
    Complete,
    Deleted,
    #[default]
    Failed,
    Stuck,
    TimedOut,
    Interrupted,
}

impl RunOutcome {
    /// Returns the outcome of a run that ended with an error of this exit code.
    pub fn from_exit_code(code: u8) -> Self {
        match code {
            5 => Self::Stuck,
            6 => Self::TimedOut,
            130 => Self::Interrupted,
            _ => Self::Failed,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FirstFailure {
    pub stack: String,
    pub resource: String,
    pub kind: String,
    pub reason: Option<String>,
}

/// The sentiment of a status, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sentiment {
    Good,
    Busy,
    Bad,
    Neutral,
}

impl Sentiment {
    /// Returns the sentiment of a CloudFormation or ECS status.
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
    /// Returns the class of an event, the field `type` of its line: a program reads it first.
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
        assert_eq!(Sentiment::of("UPDATE_ROLLBACK_COMPLETE"), Sentiment::Bad);
        assert_eq!(Sentiment::of("UPDATE_COMPLETE"), Sentiment::Good);
        assert_eq!(Sentiment::of("CREATE_IN_PROGRESS"), Sentiment::Busy);
    }
}
