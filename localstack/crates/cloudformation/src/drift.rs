//! Drift: what a stack's resources are, against what the template says.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::compare::same;
use super::dynamic;
use super::scope::text;
use super::stack::{self, Member};
use endpoint_core::{AwsError, Context};

const DETECTIONS: &str = "cloudformation.drift-detections";

/// One run of `DetectStackDrift`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Detection {
    pub stack_id: String,
    pub stack_drift_detection_id: String,
    pub detection_status: String,
    pub detection_status_reason: Option<String>,
    pub stack_drift_status: Option<String>,
    pub drifted_stack_resource_count: Option<usize>,
    pub timestamp: String,
}

/// Starts looking at a stack's resources (all, or those named) and gives the run's id.
pub fn start(cx: &Context, stack_id: &str, only: Vec<String>) -> anyhow::Result<String> {
    let id = uuid::Uuid::new_v4().to_string();
    let detection = Detection {
        stack_id: stack_id.to_owned(),
        stack_drift_detection_id: id.clone(),
        detection_status: "DETECTION_IN_PROGRESS".to_owned(),
        detection_status_reason: None,
        stack_drift_status: None,
        drifted_stack_resource_count: None,
        timestamp: stack::now(),
    };
    cx.store().put(DETECTIONS, &id, &detection)?;
    let (cx, mut detection) = (cx.clone(), detection);
    tokio::spawn(async move {
        match detect(&cx, &detection.stack_id, &only).await {
            Ok(drifted) => {
                detection.detection_status = "DETECTION_COMPLETE".to_owned();
                detection.drifted_stack_resource_count = Some(drifted);
                detection.stack_drift_status = Some(if drifted > 0 { "DRIFTED" } else { "IN_SYNC" }.to_owned());
            }
            Err(error) => {
                detection.detection_status = "DETECTION_FAILED".to_owned();
                detection.detection_status_reason = Some(format!("{error:#}"));
            }
        }
        if let Err(error) = cx
            .store()
            .put(DETECTIONS, &detection.stack_drift_detection_id, &detection)
        {
            tracing::error!(error = format!("{error:#}"), "a drift detection cannot be kept");
        }
    });
    Ok(id)
}

/// A run by its id.
pub fn detection(cx: &Context, id: &str) -> Result<Detection, AwsError> {
    let missing = || AwsError::validation(format!("Drift detection id [{id}] does not exist"));
    cx.store().get(DETECTIONS, id)?.ok_or_else(missing)
}

async fn detect(cx: &Context, stack_id: &str, only: &[String]) -> anyhow::Result<usize> {
    let found = stack::existing(cx, stack_id)?;
    let mut drifted = 0;
    for member in found
        .members
        .values()
        .filter(|m| only.is_empty() || only.contains(&m.logical_id))
    {
        let drift = of_member(cx, stack_id, member).await;
        drifted += usize::from(matches!(
            drift["StackResourceDriftStatus"].as_str(),
            Some("MODIFIED" | "DELETED")
        ));
        stack::edit(cx, stack_id, |stack| {
            if let Some(member) = stack.members.get_mut(&member.logical_id) {
                member.drift = Some(drift);
            }
        })?;
    }
    stack::edit(cx, stack_id, |stack| {
        stack.drift = Some(if drifted > 0 { "DRIFTED" } else { "IN_SYNC" }.to_owned());
        stack.drift_checked = Some(stack::now());
    })?;
    Ok(drifted)
}

/// A `StackResourceDrift`.
pub async fn of_member(cx: &Context, stack_id: &str, member: &Member) -> Value {
    let physical_id = member.physical_id.as_deref().unwrap_or_default();
    let kind = cx.resource_type(&member.kind);
    let hidden = kind.as_ref().map(|k| k.schema().write_only).unwrap_or_default();
    let mut expected = member.properties.clone();
    expected.retain(|name, value| !hidden.contains(&name.as_str()) && !dynamic::is_in(value));
    let live = match &kind {
        Some(kind) => kind.read(cx, physical_id).await,
        None => Err(endpoint_core::Failure::new("the type is not known")),
    };
    let mut drift = json!({
        "StackId": stack_id, "LogicalResourceId": member.logical_id, "PhysicalResourceId": physical_id,
        "ResourceType": member.kind, "Timestamp": stack::now(),
    });
    match live {
        Err(failure) => {
            drift["StackResourceDriftStatus"] = "NOT_CHECKED".into();
            drift["DriftStatusReason"] = failure.0.into();
        }
        Ok(None) => {
            drift["StackResourceDriftStatus"] = "DELETED".into();
            drift["ExpectedProperties"] = Value::Object(expected).to_string().into();
        }
        Ok(Some(live)) => {
            let live = live.as_object().cloned().unwrap_or_default();
            let mut actual = live.clone();
            actual.retain(|name, _| expected.contains_key(name));
            let mut found = Vec::new();
            compare(&expected, &live, "", &mut found);
            drift["StackResourceDriftStatus"] = if found.is_empty() { "IN_SYNC" } else { "MODIFIED" }.into();
            drift["ExpectedProperties"] = Value::Object(expected).to_string().into();
            drift["ActualProperties"] = Value::Object(actual).to_string().into();
            drift["PropertyDifferences"] = Value::Array(found);
        }
    }
    drift
}

/// Only what the template says is compared, as AWS does; lists are sets where their order differs.
fn compare(expected: &Map<String, Value>, live: &Map<String, Value>, path: &str, found: &mut Vec<Value>) {
    for (name, wanted) in expected {
        let path = format!("{path}/{name}");
        match (wanted, live.get(name)) {
            (wanted, None) => found.push(difference(&path, "REMOVE", Some(wanted), None)),
            (wanted, Some(is)) if same(wanted, is) => {}
            (Value::Object(wanted), Some(Value::Object(is))) => compare(wanted, is, &path, found),
            (Value::Array(wanted), Some(Value::Array(is))) => list(wanted, is, &path, name == "Tags", found),
            (wanted, Some(is)) => found.push(difference(&path, "NOT_EQUAL", Some(wanted), Some(is))),
        }
    }
}

/// Elements without a partner: an equal one, or (for objects) one that says all that the template says.
fn list(wanted: &[Value], is: &[Value], path: &str, more_is_fine: bool, found: &mut Vec<Value>) {
    let mut left: Vec<&Value> = is.iter().collect();
    for (i, wanted) in wanted.iter().enumerate() {
        match left.iter().position(|is| covers(is, wanted)) {
            Some(at) => {
                left.remove(at);
            }
            None => found.push(difference(&format!("{path}/{i}"), "REMOVE", Some(wanted), None)),
        }
    }
    for extra in left.into_iter().filter(|_| !more_is_fine) {
        found.push(difference(
            &format!("{path}/{}", is.len().saturating_sub(1)),
            "ADD",
            None,
            Some(extra),
        ));
    }
}

fn covers(is: &Value, wanted: &Value) -> bool {
    match (is, wanted) {
        (Value::Object(is), Value::Object(wanted)) => {
            wanted.iter().all(|(k, v)| is.get(k).is_some_and(|w| covers(w, v)))
        }
        _ => same(is, wanted),
    }
}

fn difference(path: &str, kind: &str, expected: Option<&Value>, actual: Option<&Value>) -> Value {
    let shown = |v: Option<&Value>| {
        v.map_or_else(String::new, |v| {
            text(v).filter(|_| !v.is_array()).unwrap_or_else(|| v.to_string())
        })
    };
    json!({"PropertyPath": path, "ExpectedValue": shown(expected), "ActualValue": shown(actual), "DifferenceType": kind})
}
