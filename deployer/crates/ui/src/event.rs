//! Events of a command, independent of how they are shown.

use serde::Serialize;
use serde_json::Value;

use super::rollout::Rollout;

/// One event. With `--json` it is a line; `schema/events.v1.json` describes its fields.
///
/// The schema is generated from these types and their comments.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A sentence about the progress.
    Note {
        /// The sentence.
        text: String,
    },
    /// A problem that does not end the command.
    Warning {
        /// The problem, and what to do about it.
        text: String,
    },
    /// The stacks that a deployment will create or update, before anything is changed.
    Plan {
        /// The project's name.
        project: String,
        /// The environment's name.
        environment: String,
        /// URL of the endpoint, or `AWS`.
        endpoint: String,
        /// The stacks, each after those on which it depends.
        stacks: Vec<PlannedStack>,
        /// Existing stacks that are not in the manifest and are kept.
        orphaned_stacks: Vec<String>,
    },
    /// The start of an operation on a stack.
    Stack {
        /// Full name of the stack.
        stack: String,
        /// The operation.
        #[cfg_attr(test, schemars(extend("enum" = ["create", "update", "delete"])))]
        action: &'static str,
        /// Number of resources that it changes; 0 if unknown.
        resources: usize,
        /// Expected duration of the whole operation, if known.
        expected_seconds: Option<u32>,
    },
    /// A stack waits for something other than a resource.
    StackWaiting {
        /// Full name of the stack.
        stack: String,
        /// The missing thing, such as `its image`.
        on: String,
    },
    /// CloudFormation undoes the operation on a stack.
    StackRollingBack {
        /// Full name of the stack.
        stack: String,
        /// CloudFormation's status of the stack.
        status: String,
        /// CloudFormation's reason.
        reason: Option<String>,
    },
    /// CloudFormation deletes replaced or removed resources after an update or a rollback.
    StackCleaningUp {
        /// Full name of the stack.
        stack: String,
        /// CloudFormation's status of the stack.
        status: String,
    },
    /// A resource of a stack has a new status.
    Resource {
        /// Full name of the stack.
        stack: String,
        /// Its logical ID.
        resource: String,
        /// Its CloudFormation type.
        resource_type: String,
        /// CloudFormation's status of the resource.
        status: String,
        /// CloudFormation's reason.
        reason: Option<String>,
        /// True if it was cancelled because another resource failed: a consequence, not a cause.
        cancelled: bool,
    },
    /// The end of an operation on a stack.
    StackEnded {
        /// Full name of the stack.
        stack: String,
        /// CloudFormation's status of the stack; `unchanged` if there was nothing to do.
        status: String,
        /// The status' sentiment.
        sentiment: Sentiment,
        /// Duration of the operation.
        #[cfg_attr(test, schemars(range(min = 0)))]
        seconds: f32,
    },
    /// Progress of a service's image.
    Image {
        /// The service's name.
        service: String,
        /// The state; `skipped` if the endpoint has no registry, `loaded` into a container engine.
        #[cfg_attr(test, schemars(extend("enum" = ["pushing", "pushed", "unchanged", "skipped", "loaded"])))]
        step: &'static str,
        /// The digest, once it is known; the name in the engine for a loaded image.
        detail: String,
    },
    /// Bytes of an image sent to the registry; a few events a second.
    Upload {
        /// The service's name.
        service: String,
        /// Bytes sent.
        sent: u64,
        /// Bytes that the registry did not have.
        total: u64,
    },
    /// A line of the compiler's output.
    Compiler {
        /// The line.
        line: String,
    },
    /// Another crate of the images was compiled.
    Compiling {
        /// Crates that are finished.
        finished: usize,
        /// Crates in all; null until cargo has reported it.
        total: Option<usize>,
    },
    /// The state of an ECS service's deployments; reported when it changes.
    Rollout {
        /// Full name of the stack.
        stack: String,
        /// The service's logical ID.
        resource: String,
        /// The state.
        rollout: Rollout,
    },
    /// The condition that `up` still waits for before the system is ready.
    Serving {
        /// The condition.
        state: String,
    },
    /// A task of a service stopped during its deployment; once for each task.
    TaskStopped {
        /// The service's name.
        service: String,
        /// The last part of its ARN.
        task: String,
        /// ECS's stop code and reason, in one sentence.
        reason: String,
        /// The exit code of its container.
        exit_code: Option<i32>,
        /// Its last log lines.
        log: Vec<String>,
        /// Number of tasks that have stopped for this reason so far; their logs are shown once.
        #[cfg_attr(test, schemars(range(min = 1)))]
        times: u32,
    },
    /// A line of a service's log (`deployer logs`).
    Log {
        /// The service's name.
        service: String,
        /// Time of the line, RFC 3339, UTC.
        time: String,
        /// The log stream.
        stream: String,
        /// The line.
        message: String,
    },
    /// The result of the command: `plan` for diff and estimate, else `outputs`.
    Result {
        /// The format of `value`.
        kind: &'static str,
        /// The result; `docs/commands.md` says what each command returns.
        value: Value,
    },
    /// The error that ends the command.
    Error {
        /// A stable identifier of the error, such as `locked` or `preflight`.
        code: &'static str,
        /// The problem and its cause.
        message: String,
        /// The next step.
        hint: Option<String>,
        /// The exit code of the process.
        #[cfg_attr(test, schemars(range(min = 1)))]
        exit_code: u8,
    },
    /// The end of a deployment, once; only its outputs come after it.
    Summary(Summary),
}

/// A stack of a plan.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct PlannedStack {
    /// Full name of the stack.
    pub stack: String,
    /// The name without project and environment.
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Summary {
    /// The end of the run.
    pub outcome: RunOutcome,
    /// Created stacks.
    pub created: usize,
    /// Updated stacks.
    pub updated: usize,
    /// Deleted stacks.
    pub deleted: usize,
    /// Stacks without a change.
    pub unchanged: usize,
    /// Stacks whose operation failed.
    pub failed: usize,
    /// Started and not ended: CloudFormation continues with these.
    pub in_progress: usize,
    /// Not started, because a stack before it failed or the run was interrupted.
    pub skipped: usize,
    /// Resources that were cancelled because another one failed.
    pub cancelled: usize,
    /// Duration of the run.
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub seconds: f32,
    /// The resource whose failure came first.
    pub first_failure: Option<FirstFailure>,
}

/// The end of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// A request through the load balancer was answered.
    Serves,
    /// The stacks are complete; readiness was not checked.
    Complete,
    /// The stacks are deleted.
    Deleted,
    /// An operation failed.
    #[default]
    Failed,
    /// A stack needs `deployer unstick`.
    Stuck,
    /// The system did not become ready in time.
    TimedOut,
    /// Ctrl-C ended the run.
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

/// The resource whose failure ended a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct FirstFailure {
    /// Full name of the stack.
    pub stack: String,
    /// Its logical ID.
    pub resource: String,
    /// Its CloudFormation type.
    pub resource_type: String,
    /// CloudFormation's reason.
    pub reason: Option<String>,
}

/// The sentiment of a status, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sentiment {
    /// Complete or healthy.
    Good,
    /// In progress.
    Busy,
    /// Failed or rolled back.
    Bad,
    /// Any other status.
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
