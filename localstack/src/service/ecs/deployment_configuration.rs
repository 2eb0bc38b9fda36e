//! `deploymentConfiguration` of a service: limits, circuit breaker, alarms, and the strategy with its steps.

use serde_json::{Value, json};

use super::error::invalid_parameter;
use super::members::{boolean, integer, list, text};
use super::spec::{ServiceSpec, Strategy};
use crate::AwsError;

/// The longest step or bake time, in minutes.
const MAX_MINUTES: i64 = 1440;

/// Applies the members to the parameters of a service; those that are absent stay as they are.
///
/// # Errors
/// A member that ECS rejects or that this endpoint does not support.
pub fn read(input: &Value, spec: &mut ServiceSpec) -> Result<(), AwsError> {
    for unsupported in ["lifecycleHooks", "earlySuccessCriteria"] {
        let found = input.get(unsupported).filter(|value| !value.is_null());
        if found.is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty())) {
            return Err(invalid_parameter(format!(
                "The embedded endpoint does not support {unsupported} of deploymentConfiguration."
            )));
        }
    }
    let percent = |member: &str| integer(input.get(member)).and_then(|n| u32::try_from(n).ok());
    spec.minimum_percent = percent("minimumHealthyPercent").unwrap_or(spec.minimum_percent);
    spec.maximum_percent = percent("maximumPercent").unwrap_or(spec.maximum_percent);
    if let Some(breaker) = input.get("deploymentCircuitBreaker") {
        spec.circuit_breaker = boolean(breaker.get("enable")).unwrap_or(false);
        spec.rollback = boolean(breaker.get("rollback")).unwrap_or(false);
    }
    if let Some(alarms) = input.get("alarms") {
        let enabled = boolean(alarms.get("enable")).unwrap_or(false);
        let names = list(alarms, "alarmNames").iter().filter(|_| enabled);
        spec.alarms = names.filter_map(|name| name.as_str().map(str::to_owned)).collect();
        spec.alarms_rollback = boolean(alarms.get("rollback")).unwrap_or(false);
    }
    if let Some(name) = text(input, "strategy") {
        spec.strategy = strategy(name, input)?;
    }
    if let Some(minutes) = minutes(input, "bakeTimeInMinutes")? {
        spec.bake_minutes = minutes;
    }
    Ok(())
}

/// Returns a strategy, with ECS's own values for the members of its steps that are absent.
fn strategy(name: &str, input: &Value) -> Result<Strategy, AwsError> {
    let steps = |member: &str| input.get(member).unwrap_or(&Value::Null);
    let (canary, linear) = (steps("canaryConfiguration"), steps("linearConfiguration"));
    match name {
        "ROLLING" => Ok(Strategy::Rolling),
        "BLUE_GREEN" => Ok(Strategy::BlueGreen),
        "CANARY" => Ok(Strategy::Canary {
            percent: step_percent(canary, "canaryPercent", 0.1, 5.0)?,
            minutes: minutes(canary, "canaryBakeTimeInMinutes")?.unwrap_or(10),
        }),
        "LINEAR" => Ok(Strategy::Linear {
            percent: step_percent(linear, "stepPercent", 3.0, 10.0)?,
            minutes: minutes(linear, "stepBakeTimeInMinutes")?.unwrap_or(6),
        }),
        other => Err(invalid_parameter(format!(
            "The deployment strategy {other} is not one of ROLLING, BLUE_GREEN, LINEAR, CANARY."
        ))),
    }
}

fn step_percent(input: &Value, member: &str, minimum: f64, default: f64) -> Result<f64, AwsError> {
    let given = match input.get(member) {
        None | Some(Value::Null) => return Ok(default),
        Some(Value::String(text)) => text.parse().ok(),
        Some(other) => other.as_f64(),
    };
    given
        .filter(|percent| (minimum..=100.0).contains(percent))
        .ok_or_else(|| invalid_parameter(format!("{member} must be between {minimum} and 100.")))
}

fn minutes(input: &Value, member: &str) -> Result<Option<u32>, AwsError> {
    let Some(given) = integer(input.get(member)) else {
        return Ok(None);
    };
    u32::try_from(given)
        .ok()
        .filter(|_| given <= MAX_MINUTES)
        .map(Some)
        .ok_or_else(|| invalid_parameter(format!("{member} must be between 0 and {MAX_MINUTES}.")))
}

/// Returns the configuration as descriptions show it.
pub fn describe(spec: &ServiceSpec) -> Value {
    let mut shown = json!({
        "minimumHealthyPercent": spec.minimum_percent, "maximumPercent": spec.maximum_percent,
        "deploymentCircuitBreaker": {"enable": spec.circuit_breaker, "rollback": spec.rollback},
        "bakeTimeInMinutes": spec.bake_minutes,
    });
    let name = match spec.strategy {
        Strategy::Rolling => "ROLLING",
        Strategy::BlueGreen => "BLUE_GREEN",
        Strategy::Linear { percent, minutes } => {
            shown["linearConfiguration"] = json!({"stepPercent": percent, "stepBakeTimeInMinutes": minutes});
            "LINEAR"
        }
        Strategy::Canary { percent, minutes } => {
            shown["canaryConfiguration"] = json!({"canaryPercent": percent, "canaryBakeTimeInMinutes": minutes});
            "CANARY"
        }
    };
    shown["strategy"] = name.into();
    if !spec.alarms.is_empty() {
        shown["alarms"] = json!({"alarmNames": spec.alarms, "enable": true, "rollback": spec.alarms_rollback});
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(input: &Value) -> Result<ServiceSpec, String> {
        let mut spec = ServiceSpec::default();
        read(input, &mut spec).map_err(|error| error.message).map(|()| spec)
    }

    #[test]
    fn a_strategy_is_read_and_described_in_the_same_way() {
        let input = json!({
            "minimumHealthyPercent": 100, "maximumPercent": 200, "bakeTimeInMinutes": 5, "strategy": "CANARY",
            "canaryConfiguration": {"canaryPercent": 12.5, "canaryBakeTimeInMinutes": 3},
            "deploymentCircuitBreaker": {"enable": true, "rollback": true},
            "alarms": {"alarmNames": ["a", "b"], "enable": true, "rollback": true},
        });
        assert_eq!(describe(&parsed(&input).unwrap()), input);
        let defaults = parsed(&json!({"strategy": "LINEAR"})).unwrap();
        let (percent, minutes) = (10.0, 6);
        assert_eq!(defaults.strategy, Strategy::Linear { percent, minutes });
    }

    #[test]
    fn what_is_not_supported_is_rejected_by_name() {
        for (input, name) in [
            (json!({"strategy": "SHADOW"}), "SHADOW"),
            (json!({"lifecycleHooks": [{"hookTargetArn": "f"}]}), "lifecycleHooks"),
            (json!({"bakeTimeInMinutes": 1441}), "bakeTimeInMinutes"),
            (
                json!({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 1}}),
                "stepPercent",
            ),
        ] {
            assert!(parsed(&input).unwrap_err().contains(name), "{name}");
        }
    }
}
