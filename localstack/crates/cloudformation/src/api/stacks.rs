//! `DescribeStacks` and `ListStacks`.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::input::{self, NESTED_STACK};
use crate::parameter;
use crate::stack::{self, OnFailure, Stack};
use endpoint_core::{AwsError, Call, Context};

/// Handles `DescribeStacks`.
pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let stacks = match call.text("StackName") {
        Some(name) => vec![stack::existing(cx, &name)?],
        None => stack::all(cx)?.into_iter().filter(|s| !s.is_deleted()).collect(),
    };
    let parents = parents(cx)?;
    let shown = stacks.iter().map(|stack| {
        let mut shown = shown(stack);
        let mut ancestor = parents.get(&stack.id);
        shown["ParentId"] = ancestor.cloned().into();
        while let Some(id) = ancestor {
            shown["RootId"] = id.clone().into();
            ancestor = parents.get(id);
        }
        shown
    });
    let (page, next) = input::page(shown.collect(), call, 100)?;
    Ok(json!({"Stacks": page, "NextToken": next}))
}

/// Returns the parent of each nested stack: the stack with it as a resource.
fn parents(cx: &Context) -> Result<HashMap<String, String>, AwsError> {
    let mut parents = HashMap::new();
    for stack in stack::all(cx)? {
        let nested = stack.resources.values().filter(|r| r.resource_type == NESTED_STACK);
        for id in nested.filter_map(|resource| resource.physical_id.clone()) {
            parents.insert(id, stack.id.clone());
        }
    }
    Ok(parents)
}

/// Handles `ListStacks`.
pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let statuses = call.texts("StackStatusFilter");
    let stacks = stack::all(cx)?
        .into_iter()
        .filter(|s| statuses.is_empty() || statuses.contains(&s.status));
    let summaries = stacks.map(|s| {
        json!({
            "StackId": s.id, "StackName": s.name, "TemplateDescription": description(&s), "CreationTime": s.created,
            "LastUpdatedTime": s.updated, "DeletionTime": s.deleted, "StackStatus": s.status,
            "StackStatusReason": s.reason, "DriftInformation": drift(&s),
        })
    });
    let (page, next) = input::page(summaries.collect(), call, 100)?;
    Ok(json!({"StackSummaries": page, "NextToken": next}))
}

fn shown(stack: &Stack) -> Value {
    let template = stack.definition.template().unwrap_or_default();
    let parameters = parameter::shown(
        &template,
        &stack.definition.parameters,
        &stack.definition.parameter_values,
    );
    let outputs: Value = stack
        .outputs
        .iter()
        .map(|o| json!({"OutputKey": o.key, "OutputValue": o.value, "Description": o.description, "ExportName": o.export}))
        .collect();
    json!({
        "StackId": stack.id, "StackName": stack.name, "ChangeSetId": stack.change_set, "Description": template.description,
        "Parameters": input::unless_empty(parameters), "RollbackConfiguration": {},
        "CreationTime": stack.created, "LastUpdatedTime": stack.updated, "DeletionTime": stack.deleted,
        "StackStatus": stack.status, "StackStatusReason": stack.reason,
        "DisableRollback": stack.on_failure == OnFailure::DoNothing, "NotificationARNs": [],
        "TimeoutInMinutes": stack.timeout_minutes, "RoleARN": stack.role, "Capabilities": input::unless_empty(stack.capabilities.clone().into()),
        "Outputs": input::unless_empty(outputs), "Tags": input::tag_list(&stack.definition.tags),
        "EnableTerminationProtection": (!stack.is_deleted()).then_some(stack.termination_protection), "DriftInformation": drift(stack),
    })
}

fn drift(stack: &Stack) -> Value {
    json!({
        "StackDriftStatus": stack.drift.as_deref().unwrap_or("NOT_CHECKED"),
        "LastCheckTimestamp": stack.drift_checked,
    })
}

fn description(stack: &Stack) -> Option<String> {
    stack.definition.template().ok().and_then(|t| t.description)
}
