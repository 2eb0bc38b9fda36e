//! Operations on drift.

use serde_json::{Value, json};

use super::input;
use crate::drift;
use crate::stack;
use endpoint_core::{AwsError, Call, Context};

/// Handles `DetectStackDrift`.
pub fn detect(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let stack = input::stack(cx, call)?;
    if stack.is_in_progress() || stack.is_deleted() {
        return Err(AwsError::validation(format!(
            "Drift detection cannot be run on stack [{}] in its current status {}",
            stack.name, stack.status
        )));
    }
    let id = drift::start(cx, &stack.id, call.texts("LogicalResourceIds"))?;
    Ok(json!({"StackDriftDetectionId": id}))
}

/// Handles `DetectStackResourceDrift`.
pub async fn detect_one(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let stack = input::stack(cx, call)?;
    let id = call.required("LogicalResourceId")?;
    let missing = || AwsError::validation(format!("Resource {id} does not exist for stack {}", stack.name));
    let resource = stack.resources.get(&id).ok_or_else(missing)?;
    let found = drift::resource_drift(cx, &stack.id, resource).await;
    stack::edit(cx, &stack.id, |stack| {
        if let Some(resource) = stack.resources.get_mut(&id) {
            resource.drift = Some(found.clone());
        }
    })?;
    Ok(json!({"StackResourceDrift": found}))
}

/// Handles `DescribeStackDriftDetectionStatus`.
pub fn status(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let detection = drift::detection(cx, &call.required("StackDriftDetectionId")?)?;
    serde_json::to_value(detection).map_err(|error| AwsError::internal(error.to_string()))
}

/// Handles `DescribeStackResourceDrifts`.
pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let stack = input::stack(cx, call)?;
    let statuses = call.texts("StackResourceDriftStatusFilters");
    let drifts = stack.resources.values().filter_map(|m| m.drift.clone());
    let drifts = drifts.filter(|d| {
        statuses.is_empty()
            || d["StackResourceDriftStatus"]
                .as_str()
                .is_some_and(|s| statuses.iter().any(|status| status == s))
    });
    let (page, next) = input::page(drifts.collect(), call, 100)?;
    Ok(json!({"StackResourceDrifts": page, "NextToken": next}))
}
