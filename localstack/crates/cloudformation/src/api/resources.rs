//! The resources of a stack.

use serde_json::{Value, json};

use super::input;
use crate::stack::{self, Stack, StackResource};
use endpoint_core::{AwsError, Call, Context};

/// Handles `DescribeStackResource`.
pub fn describe_one(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("StackName")?;
    let no_stack = || AwsError::validation(format!("Stack '{name}' does not exist"));
    let stack = stack::find(cx, &name)?.ok_or_else(no_stack)?;
    let id = call.required("LogicalResourceId")?;
    let missing = || AwsError::validation(format!("Resource {id} does not exist for stack {name}"));
    let resource = stack.resources.get(&id).ok_or_else(missing)?;
    let mut detail = shown(&stack, resource);
    if let Some(detail) = detail.as_object_mut() {
        let at = detail.shift_remove("Timestamp").unwrap_or_default();
        detail.insert("LastUpdatedTimestamp".to_owned(), at);
        detail.insert(
            "Metadata".to_owned(),
            resource.metadata.as_ref().map(Value::to_string).into(),
        );
    }
    Ok(json!({"StackResourceDetail": detail}))
}

/// Handles `DescribeStackResources`.
pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let stack = match (call.text("StackName"), call.text("PhysicalResourceId")) {
        (Some(name), _) => stack::existing(cx, &name)?,
        (None, Some(id)) => {
            let missing = || AwsError::validation(format!("Stack for {id} does not exist"));
            let owns = |s: &Stack| {
                s.resources
                    .values()
                    .any(|m| m.physical_id.as_deref() == Some(id.as_str()))
            };
            stack::all(cx)?
                .into_iter()
                .find(|s| !s.is_deleted() && owns(s))
                .ok_or_else(missing)?
        }
        (None, None) => {
            return Err(AwsError::validation(
                "Either StackName or PhysicalResourceId must be specified.",
            ));
        }
    };
    let logical_id = call.text("LogicalResourceId");
    let resources = stack
        .resources
        .values()
        .filter(|m| logical_id.as_ref().is_none_or(|id| *id == m.logical_id));
    let mut resources: Vec<&StackResource> = resources.collect();
    resources.sort_by_key(|m| &m.logical_id);
    let found: Vec<Value> = resources.into_iter().map(|m| shown(&stack, m)).collect();
    Ok(json!({"StackResources": found}))
}

/// Handles `ListStackResources`.
pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let stack = input::stack(cx, call)?;
    let summaries = stack.resources.values().map(|m| {
        json!({
            "LogicalResourceId": m.logical_id, "PhysicalResourceId": m.physical_id, "ResourceType": m.resource_type,
            "LastUpdatedTimestamp": m.updated, "ResourceStatus": m.status, "ResourceStatusReason": m.reason,
            "DriftInformation": drift(m),
        })
    });
    let (page, next) = input::page(summaries.collect(), call, 100)?;
    Ok(json!({"StackResourceSummaries": page, "NextToken": next}))
}

fn shown(stack: &Stack, resource: &StackResource) -> Value {
    json!({
        "StackName": stack.name, "StackId": stack.id, "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id, "ResourceType": resource.resource_type, "Timestamp": resource.updated,
        "ResourceStatus": resource.status, "ResourceStatusReason": resource.reason, "DriftInformation": drift(resource),
    })
}

fn drift(resource: &StackResource) -> Value {
    match &resource.drift {
        Some(drift) => json!({
            "StackResourceDriftStatus": drift["StackResourceDriftStatus"], "LastCheckTimestamp": drift["Timestamp"],
        }),
        None => json!({"StackResourceDriftStatus": "NOT_CHECKED"}),
    }
}
