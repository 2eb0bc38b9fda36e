//! Dependencies between the containers of a task (Amazon ECS API, `ContainerDependency`).

use std::collections::HashMap;

use serde_json::Value;

use super::error::client;
use super::members::{boolean, integer, list, text};
use crate::AwsError;

/// The state of a container that another one waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Start,
    Complete,
    Success,
    Healthy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    pub container: String,
    pub condition: Condition,
}

/// A container as the ones that depend on it see it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Observed {
    pub progress: Progress,
    pub is_healthy: bool,
    /// True if its `startTimeout` is over.
    pub is_late: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Progress {
    #[default]
    Waiting,
    Started,
    /// The exit code is missing if it never ran.
    Ended(Option<i32>),
}

#[derive(Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    Waiting,
    /// It can no longer be met; the reason.
    Failed(&'static str),
}

impl Condition {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "START" => Self::Start,
            "COMPLETE" => Self::Complete,
            "SUCCESS" => Self::Success,
            "HEALTHY" => Self::Healthy,
            _ => return None,
        })
    }

    /// Compares a container with the condition. The reasons are those of the ECS agent.
    pub fn readiness(self, seen: Observed) -> Readiness {
        match (self, seen.progress) {
            (Self::Start, Progress::Started | Progress::Ended(_))
            | (Self::Complete, Progress::Ended(_))
            | (Self::Success, Progress::Ended(Some(0))) => Readiness::Ready,
            (Self::Success, Progress::Ended(_)) => Readiness::Failed("dependency did not exit successfully"),
            (Self::Healthy, Progress::Started) if seen.is_healthy => Readiness::Ready,
            (Self::Healthy, Progress::Ended(_)) => Readiness::Failed("dependency ended before it was healthy"),
            _ if seen.is_late => Readiness::Failed("dependency timed out"),
            _ => Readiness::Waiting,
        }
    }
}

/// Returns the dependencies of a container. Conditions are checked when the definition is registered.
pub fn of(container: &Value) -> Vec<Dependency> {
    let each = list(container, "dependsOn").iter();
    each.filter_map(|one| {
        Some(Dependency {
            container: text(one, "containerName")?.to_owned(),
            condition: Condition::parse(text(one, "condition")?)?,
        })
    })
    .collect()
}

/// Checks the dependencies of a new definition.
///
/// # Errors
/// `ClientException` for an unknown container or condition, a cycle, an essential container that must end, and one without a health check
/// that must be healthy; `startTimeout` and `stopTimeout` are at most 120 seconds on Fargate.
pub fn check(containers: &[Value]) -> Result<(), AwsError> {
    let by_name: HashMap<&str, &Value> = containers
        .iter()
        .filter_map(|one| Some((text(one, "name")?, one)))
        .collect();
    for container in containers {
        let name = text(container, "name").unwrap_or_default();
        for one in list(container, "dependsOn") {
            let (on, condition) = (text(one, "containerName").unwrap_or_default(), text(one, "condition"));
            let Some(other) = by_name.get(on) else {
                return Err(client(format!(
                    "Container '{name}' depends on a non-existent container '{on}'."
                )));
            };
            match condition.and_then(Condition::parse) {
                None => {
                    return Err(client(format!(
                        "Container dependency condition '{}' is invalid. Valid values are START, COMPLETE, SUCCESS, HEALTHY.",
                        condition.unwrap_or_default()
                    )));
                }
                Some(Condition::Complete | Condition::Success) if boolean(other.get("essential")).unwrap_or(true) => {
                    return Err(client(format!(
                        "Container '{on}' is essential, so that '{name}' cannot depend on its end. Essential containers can only have the \
                         conditions START and HEALTHY."
                    )));
                }
                Some(Condition::Healthy) if other.get("healthCheck").is_none_or(Value::is_null) => {
                    return Err(client(format!(
                        "Container '{name}' depends on '{on}' to be HEALTHY, but '{on}' has no health check."
                    )));
                }
                Some(_) => {}
            }
        }
        for (member, least) in [("startTimeout", 2), ("stopTimeout", 0)] {
            if integer(container.get(member)).is_some_and(|seconds| !(least..=120).contains(&seconds)) {
                return Err(client(format!(
                    "{member} of '{name}' must be between {least} and 120 seconds."
                )));
            }
        }
    }
    check_cycles(&by_name)
}

fn check_cycles(containers: &HashMap<&str, &Value>) -> Result<(), AwsError> {
    // Containers without dependencies among the rest are removed until none is left.
    let mut rest: Vec<&str> = containers.keys().copied().collect();
    loop {
        let before = rest.len();
        let blocked = rest.clone();
        rest.retain(|name| {
            of(containers[name])
                .iter()
                .any(|dependency| blocked.contains(&dependency.container.as_str()))
        });
        if rest.is_empty() {
            return Ok(());
        }
        if rest.len() == before {
            rest.sort_unstable();
            return Err(client(format!(
                "A cycle was found in the dependencies between the containers {}.",
                rest.join(", ")
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_definition_with_dependencies_that_cannot_be_met_is_refused() {
        let on = |container: &str, condition: &str| json!([{"containerName": container, "condition": condition}]);
        let check_health = json!({"command": ["CMD", "x"]});
        for (a, b, is_valid) in [
            (json!({"dependsOn": on("b", "START")}), json!({}), true),
            (
                json!({"dependsOn": on("b", "SUCCESS")}),
                json!({"essential": false}),
                true,
            ),
            (json!({"dependsOn": on("b", "SUCCESS")}), json!({}), false),
            (
                json!({"dependsOn": on("b", "COMPLETE")}),
                json!({"essential": true}),
                false,
            ),
            (
                json!({"dependsOn": on("b", "HEALTHY")}),
                json!({"healthCheck": check_health}),
                true,
            ),
            (json!({"dependsOn": on("b", "HEALTHY")}), json!({}), false),
            (json!({"dependsOn": on("c", "START")}), json!({}), false),
            (json!({"dependsOn": on("a", "START")}), json!({}), false),
            (json!({"dependsOn": on("b", "READY")}), json!({}), false),
            (
                json!({"dependsOn": on("b", "START")}),
                json!({"dependsOn": on("a", "START")}),
                false,
            ),
            (json!({"startTimeout": 121}), json!({}), false),
            (json!({"stopTimeout": 120}), json!({}), true),
        ] {
            let named = |name: &str, members: &Value| {
                let mut container = members.clone();
                container["name"] = name.into();
                container
            };
            let result = check(&[named("a", &a), named("b", &b)]);
            assert_eq!(result.is_ok(), is_valid, "{a} {b}: {result:?}");
        }
    }

    #[test]
    fn a_condition_is_met_by_the_state_of_the_container() {
        let started = Observed {
            progress: Progress::Started,
            ..Observed::default()
        };
        let ended = |code| Observed {
            progress: Progress::Ended(Some(code)),
            ..started
        };
        let late = Observed {
            is_late: true,
            ..started
        };
        let is = |condition: Condition, seen| match condition.readiness(seen) {
            Readiness::Ready => 'r',
            Readiness::Waiting => 'w',
            Readiness::Failed(_) => 'f',
        };
        let all = [
            Condition::Start,
            Condition::Complete,
            Condition::Success,
            Condition::Healthy,
        ];
        assert_eq!(
            all.map(|condition| is(condition, Observed::default())),
            ['w', 'w', 'w', 'w']
        );
        assert_eq!(all.map(|condition| is(condition, started)), ['r', 'w', 'w', 'w']);
        assert_eq!(all.map(|condition| is(condition, ended(0))), ['r', 'r', 'r', 'f']);
        assert_eq!(all.map(|condition| is(condition, ended(3))), ['r', 'r', 'f', 'f']);
        assert_eq!(all.map(|condition| is(condition, late)), ['r', 'f', 'f', 'f']);
    }
}
