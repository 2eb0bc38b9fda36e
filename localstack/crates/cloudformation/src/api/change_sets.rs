//! Operations on change sets.

use serde_json::{Value, json};

use super::{input, lifecycle, nested_change_sets, new_change_set};
use crate::change_set::{self, ChangeSet};
use crate::object_reader::ObjectReader;
use crate::stack::{self, OnFailure, Stack};
use crate::{change_set_preview, engine, parameter};
use endpoint_core::{AwsError, Call, Context};

/// Handles `CreateChangeSet`.
pub async fn create(cx: &Context, call: &Call, objects: ObjectReader) -> Result<Value, AwsError> {
    let name = input::name(call, "ChangeSetName")?;
    let stack_name = call.required("StackName")?;
    let change_set_type = call.text("ChangeSetType").unwrap_or_else(|| "UPDATE".to_owned());
    let existing = stack::find(cx, &stack_name)?.filter(|s| !s.is_deleted());
    let (mut stack, is_new) = match (change_set_type.as_str(), existing) {
        // The id of a deleted stack.
        ("CREATE", None) if stack::find(cx, &stack_name)?.is_some() => {
            let message =
                format!("Stack [{stack_name}] already exists and cannot be created again with the changeSet [{name}].");
            return Err(AwsError::validation(message));
        }
        ("CREATE", None) => (lifecycle::new(cx, &input::name(call, "StackName")?, call), true),
        ("CREATE", Some(stack)) if stack.status == "REVIEW_IN_PROGRESS" => (stack, false),
        ("CREATE", Some(stack)) => {
            let message = format!(
                "Stack [{}] already exists and cannot be created again with the changeSet [{name}].",
                stack.name
            );
            return Err(AwsError::validation(message));
        }
        ("UPDATE", Some(stack)) => {
            lifecycle::check_updatable(&stack)?;
            (stack, false)
        }
        ("UPDATE", None) => return Err(AwsError::validation(format!("Stack [{stack_name}] does not exist"))),
        (other, _) => {
            return Err(AwsError::validation(format!(
                "The change set type {other} is not supported by the embedded endpoint: CREATE and UPDATE are."
            )));
        }
    };
    let token = call.text("ClientToken");
    let sets = change_set::of_stack(cx, &stack.id)?;
    if let Some(known) = sets.into_iter().find(|set| set.name == name) {
        // The repetition of a request whose answer was lost (API reference, CreateChangeSet, ClientToken).
        if token.is_some() && known.token == token {
            return Ok(json!({"Id": known.id, "StackId": known.stack_id}));
        }
        return Err(AwsError::new(
            "AlreadyExistsException",
            format!("ChangeSet {name} cannot be created due to a mismatch with existing attribute Name"),
        ));
    }
    let mut set = new_change_set::prepare(cx, call, objects, &stack, name, change_set_type == "CREATE").await?;
    let nested = nested_change_sets::prepare(cx, call, objects, &mut set).await?;
    cx.store().transaction(|| {
        if is_new {
            stack.status = "REVIEW_IN_PROGRESS".into();
            stack.reason = Some("User Initiated".to_owned());
            stack::insert(cx, &stack)?;
            stack.record_event(cx, None)?;
        }
        nested.iter().chain([&set]).try_for_each(|set| change_set::put(cx, set))
    })?;
    Ok(json!({"Id": set.id, "StackId": set.stack_id}))
}

/// Handles `DescribeChangeSet`.
pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let set = found(cx, call)?;
    let with_values = call.boolean("IncludePropertyValues") == Some(true);
    let changes: Vec<Value> = set
        .changes
        .iter()
        .map(|c| json!({"Type": "Resource", "ResourceChange": if with_values { c.clone() } else { change_set_preview::without_values(c) }}))
        .collect();
    let (page, next) = input::page(changes, call, 100)?;
    let template = set.definition.template().unwrap_or_default();
    let parameters = parameter::shown(&template, &set.definition.parameters, &set.definition.parameter_values);
    Ok(json!({
        "ChangeSetName": set.name, "ChangeSetId": set.id, "StackId": set.stack_id, "StackName": set.stack_name,
        "Description": set.description, "Parameters": input::unless_empty(parameters),
        "CreationTime": set.created, "ExecutionStatus": set.shown_execution_status(cx)?, "Status": set.status,
        "StatusReason": set.reason.clone().or(set.warning.clone().filter(|_| with_values)), "NotificationARNs": [], "RollbackConfiguration": {},
        "Capabilities": set.capabilities, "Tags": input::unless_empty(input::tag_list(&set.definition.tags)), "Changes": page, "NextToken": next, "IncludeNestedStacks": set.includes_nested,
        "ImportExistingResources": set.imports_existing,
        "ParentChangeSetId": set.parent.as_ref().map(|(parent, _)| parent), "RootChangeSetId": set.parent.as_ref().map(|(_, root)| root),
    }))
}

/// Handles `ExecuteChangeSet`.
pub fn execute(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let mut set = found(cx, call)?;
    nested_change_sets::check_root(&set, "executed")?;
    if set.status == "FAILED" {
        let message = format!(
            "ChangeSet [{}] cannot be executed in its current status of [FAILED]",
            set.id
        );
        return Err(AwsError::new("InvalidChangeSetStatus", message));
    }
    if set.execution_status != "AVAILABLE" {
        return Err(AwsError::new(
            "InvalidChangeSetStatus",
            format!(
                "ChangeSet [{}] cannot be executed in its current execution status of [{}]",
                set.id, set.execution_status
            ),
        ));
    }
    let mut stack = stack::existing(cx, &set.stack_id)?;
    match set.is_create {
        true if stack.status != "REVIEW_IN_PROGRESS" => {
            return Err(AwsError::validation(format!(
                "Stack:{} is in {} state and can not be created.",
                stack.id, stack.status
            )));
        }
        true => {}
        false => lifecycle::check_updatable(&stack)?,
    }
    let disable = call
        .boolean("DisableRollback")
        .map(|d| if d { OnFailure::DoNothing } else { OnFailure::Rollback });
    let on_failure = disable.or(set.on_failure).unwrap_or_default();
    let (id, token) = (set.id.clone(), call.text("ClientRequestToken"));
    let (definition, capabilities, role) = (set.definition.clone(), set.capabilities.clone(), set.role.clone());
    let begin = |stack: &mut Stack| {
        stack.on_failure = on_failure;
        stack.change_set = Some(id);
        stack.token = token;
        stack.capabilities = capabilities;
        stack.role = role.or(stack.role.take());
    };
    if set.is_create {
        begin(&mut stack);
        stack.definition = definition;
        // On AWS the execution counts as an update.
        stack.updated = Some(stack::now());
        engine::create(cx, &stack)?;
    } else {
        engine::update(cx, &stack.id, definition, begin)?;
    }
    cx.store().transaction(|| {
        // The other change sets were computed for the stack's previous state.
        for mut other in change_set::of_stack(cx, &stack.id)?
            .into_iter()
            .filter(|o| o.id != set.id)
        {
            other.execution_status = "OBSOLETE".into();
            change_set::put(cx, &other)?;
        }
        for mut nested in change_set::below(cx, &set.id)? {
            nested.execution_status = "EXECUTE_COMPLETE".into();
            change_set::put(cx, &nested)?;
        }
        set.execution_status = "EXECUTE_COMPLETE".into();
        set.executed = stack::find(cx, &stack.id)?.and_then(|stack| stack.updated);
        change_set::put(cx, &set)
    })?;
    Ok(json!({}))
}

/// Handles `DeleteChangeSet`.
pub fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let set = match found(cx, call) {
        Ok(set) => set,
        Err(error) if error.code == "ChangeSetNotFound" => return Ok(json!({})),
        Err(error) => return Err(error),
    };
    nested_change_sets::check_root(&set, "deleted")?;
    change_set::delete(cx, &set.id)?;
    Ok(json!({}))
}

/// Handles `ListChangeSets`.
pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let stack = input::stack(cx, call)?;
    let sets = change_set::of_stack(cx, &stack.id)?;
    let summaries = sets.iter().map(|set| {
        json!({
            "StackId": set.stack_id, "StackName": set.stack_name, "ChangeSetId": set.id, "ChangeSetName": set.name,
            "ExecutionStatus": set.execution_status, "Status": set.status, "StatusReason": set.reason,
            "CreationTime": set.created, "Description": set.description, "IncludeNestedStacks": set.includes_nested,
        "ImportExistingResources": set.imports_existing,
            "ParentChangeSetId": set.parent.as_ref().map(|(parent, _)| parent), "RootChangeSetId": set.parent.as_ref().map(|(_, root)| root),
        })
    });
    let (page, next) = input::page(summaries.collect(), call, 100)?;
    Ok(json!({"Summaries": page, "NextToken": next}))
}

fn found(cx: &Context, call: &Call) -> Result<ChangeSet, AwsError> {
    change_set::existing(cx, &call.required("ChangeSetName")?, call.text("StackName").as_deref())
}
