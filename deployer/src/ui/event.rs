//! What happens during an operation, independent of how it is shown.

use serde::Serialize;
use serde_json::Value;

/// One thing that happened. With `--json` it is a line `{"version":1,"time":…,"event":…,…}`.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Note {
        text: String,
    },
    Warning {
        text: String,
    },
    /// An operation on a stack starts; `resources` is how many will be touched, 0 when not known.
    Stack {
        stack: String,
        action: &'static str,
        resources: usize,
    },
    /// A stack waits for something that is no resource.
    StackWaits {
        stack: String,
        on: String,
    },
    Resource {
        stack: String,
        resource: String,
        kind: String,
        status: String,
        reason: Option<String>,
    },
    StackEnded {
        stack: String,
        status: String,
        mood: Mood,
        seconds: f32,
    },
    /// What goes on with the images: compiling, packaging, pushing, pushed, unchanged.
    Image {
        service: String,
        step: &'static str,
        detail: String,
    },
    /// A line that the compiler says.
    Compiler {
        line: String,
    },
    /// How far the system is on its way to serve.
    Serving {
        state: String,
    },
    /// A task of a service stopped while it was deployed.
    TaskStopped {
        service: String,
        reason: String,
        exit_code: Option<i32>,
        log: Vec<String>,
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
