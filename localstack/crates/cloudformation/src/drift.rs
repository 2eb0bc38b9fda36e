//! Drift: differences between a stack's resources and its template.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::compare::same;
use crate::dynamic_reference;
use crate::scope::text;
use crate::stack::{self, StackResource};
use endpoint_core::{AwsError, Context, Failure};

const DETECTIONS: &str = "cloudformation.drift-detections";

/// One run of `DetectStackDrift`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "the members have AWS's names")]
pub struct Detection {
    pub stack_id: String,
    pub stack_drift_detection_id: String,
    pub detection_status: String,
    pub detection_status_reason: Option<String>,
    pub stack_drift_status: Option<String>,
    pub drifted_stack_resource_count: Option<usize>,
    pub timestamp: String,
}

/// Starts the detection for a stack's resources (all, or those in `only`), and returns its id.
///
/// # Errors
/// When the state cannot be written.
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
                detection.detection_status = "DETECTION_COMPLETE".into();
                detection.drifted_stack_resource_count = Some(drifted);
                detection.stack_drift_status = Some(if drifted > 0 { "DRIFTED" } else { "IN_SYNC" }.to_owned());
            }
            Err(error) => {
                detection.detection_status = "DETECTION_FAILED".into();
                detection.detection_status_reason = Some(format!("{error:#}"));
            }
        }
        if let Err(error) = cx
            .store()
            .put(DETECTIONS, &detection.stack_drift_detection_id, &detection)
        {
            tracing::error!(error = format!("{error:#}"), "cannot store a drift detection");
        }
    });
    Ok(id)
}

/// Returns a detection by its id.
///
/// # Errors
/// `ValidationError` if it does not exist.
pub fn detection(cx: &Context, id: &str) -> Result<Detection, AwsError> {
    let missing = || AwsError::validation(format!("Drift detection id [{id}] does not exist"));
    cx.store().get(DETECTIONS, id)?.ok_or_else(missing)
}

async fn detect(cx: &Context, stack_id: &str, only: &[String]) -> anyhow::Result<usize> {
    let found = stack::existing(cx, stack_id)?;
    let mut drifted = 0;
    for resource in found
        .resources
        .values()
        .filter(|m| only.is_empty() || only.contains(&m.logical_id))
    {
        let drift = resource_drift(cx, stack_id, resource).await;
        drifted += usize::from(matches!(
            drift["StackResourceDriftStatus"].as_str(),
            Some("MODIFIED" | "DELETED")
        ));
        stack::edit(cx, stack_id, |stack| {
            if let Some(stored) = stack.resources.get_mut(&resource.logical_id) {
                stored.drift = Some(drift);
            }
        })?;
    }
    stack::edit(cx, stack_id, |stack| {
        stack.drift = Some(if drifted > 0 { "DRIFTED" } else { "IN_SYNC" }.to_owned());
        stack.drift_checked = Some(stack::now());
    })?;
    Ok(drifted)
}

/// Returns the `StackResourceDrift` of one resource.
pub async fn resource_drift(cx: &Context, stack_id: &str, resource: &StackResource) -> Value {
    let physical_id = resource.physical_id.as_deref().unwrap_or_default();
    let resource_type = cx.resource_type(&resource.resource_type);
    let hidden = resource_type
        .as_ref()
        .map(|one| one.schema().write_only)
        .unwrap_or_default();
    let mut expected = resource.properties.clone();
    expected.retain(|name, value| !hidden.contains(&name.as_str()) && !dynamic_reference::is_in(value));
    let current = match &resource_type {
        Some(resource_type) => resource_type.read(cx, physical_id).await,
        None => Err(Failure::new("the resource type is unknown")),
    };
    let mut drift = json!({
        "StackId": stack_id, "LogicalResourceId": resource.logical_id, "PhysicalResourceId": physical_id,
        "ResourceType": resource.resource_type, "Timestamp": stack::now(),
    });
    match current {
        Err(failure) => {
            drift["StackResourceDriftStatus"] = "NOT_CHECKED".into();
            drift["DriftStatusReason"] = failure.to_string().into();
        }
        Ok(None) => {
            drift["StackResourceDriftStatus"] = "DELETED".into();
            drift["ExpectedProperties"] = Value::Object(expected).to_string().into();
        }
        Ok(Some(current)) => {
            let current = current.as_object().cloned().unwrap_or_default();
            let mut actual = current.clone();
            actual.retain(|name, _| expected.contains_key(name));
            let mut found = Vec::new();
            compare(&expected, &current, "", &mut found);
            drift["StackResourceDriftStatus"] = if found.is_empty() { "IN_SYNC" } else { "MODIFIED" }.into();
            drift["ExpectedProperties"] = Value::Object(expected).to_string().into();
            drift["ActualProperties"] = Value::Object(actual).to_string().into();
            drift["PropertyDifferences"] = Value::Array(found);
        }
    }
    drift
}

/// Compares the properties of the template only, as AWS does; a different order of a list is not a difference.
fn compare(expected: &Map<String, Value>, current: &Map<String, Value>, path: &str, found: &mut Vec<Value>) {
    for (name, expected) in expected {
        let path = format!("{path}/{name}");
        match (expected, current.get(name)) {
            (expected, None) => found.push(difference(&path, "REMOVE", Some(expected), None)),
            (expected, Some(actual)) if same(expected, actual) => {}
            (Value::Object(expected), Some(Value::Object(actual))) => compare(expected, actual, &path, found),
            (Value::Array(expected), Some(Value::Array(actual))) => {
                compare_lists(expected, actual, &path, name == "Tags", found);
            }
            (expected, Some(actual)) => found.push(difference(&path, "NOT_EQUAL", Some(expected), Some(actual))),
        }
    }
}

/// Finds the elements without a counterpart: an equal one, or an object that has all members of the template's.
fn compare_lists(expected: &[Value], actual: &[Value], path: &str, ignore_additional: bool, found: &mut Vec<Value>) {
    let mut additional: Vec<&Value> = actual.iter().collect();
    for (i, expected) in expected.iter().enumerate() {
        match additional.iter().position(|actual| covers(actual, expected)) {
            Some(at) => {
                additional.remove(at);
            }
            None => found.push(difference(&format!("{path}/{i}"), "REMOVE", Some(expected), None)),
        }
    }
    let path = format!("{path}/{}", actual.len().saturating_sub(1));
    for actual in additional.into_iter().filter(|_| !ignore_additional) {
        found.push(difference(&path, "ADD", None, Some(actual)));
    }
}

fn covers(actual: &Value, expected: &Value) -> bool {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            let mut members = expected.iter();
            members.all(|(name, expected)| actual.get(name).is_some_and(|actual| covers(actual, expected)))
        }
        _ => same(actual, expected),
    }
}

fn difference(path: &str, difference_type: &str, expected: Option<&Value>, actual: Option<&Value>) -> Value {
    let shown = |v: Option<&Value>| {
        v.map_or_else(String::new, |v| {
            text(v).filter(|_| !v.is_array()).unwrap_or_else(|| v.to_string())
        })
    };
    json!({"PropertyPath": path, "ExpectedValue": shown(expected), "ActualValue": shown(actual), "DifferenceType": difference_type})
}
