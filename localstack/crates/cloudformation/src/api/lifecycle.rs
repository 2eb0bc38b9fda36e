//! Creation, update and deletion of stacks.

use serde_json::{Value, json};

use super::input;
use crate::exports::importers;
use crate::object_reader::ObjectReader;
use crate::stack::{self, OnFailure, Stack};
use crate::{change_set, change_set_preview, engine};
use endpoint_core::{AwsError, Call, Context};

/// Handles `CreateStack`.
pub async fn create(cx: &Context, call: &Call, objects: ObjectReader) -> Result<Value, AwsError> {
    let name = input::name(call, "StackName")?;
    let token = call.text("ClientRequestToken");
    let existing = stack::find(cx, &name)?;
    let in_review = existing
        .as_ref()
        .filter(|stack| stack.status == "REVIEW_IN_PROGRESS")
        .cloned();
    if let Some(existing) = existing.filter(|_| in_review.is_none()) {
        // The repetition of a request whose answer was lost (API reference, CreateStack, ClientRequestToken).
        if token.is_some() && existing.token == token && existing.status.starts_with("CREATE_") {
            return Ok(json!({"StackId": existing.id}));
        }
        return Err(AwsError::new(
            "AlreadyExistsException",
            format!("Stack [{name}] already exists"),
        ));
    }
    let mut stack = new(cx, &name, call);
    stack.role = input::role(cx, call).await?;
    if let Some(in_review) = &in_review {
        (stack.id, stack.created) = (in_review.id.clone(), in_review.created.clone());
    }
    let (_, definition) = input::definition(cx, call, objects, &stack).await?;
    stack.definition = definition;
    stack.on_failure = on_failure(call)?.unwrap_or_default();
    cx.store().transaction(|| {
        for mut set in change_set::of_stack(cx, &stack.id)? {
            set.execution_status = "OBSOLETE".into();
            change_set::put(cx, &set)?;
        }
        anyhow::Ok(())
    })?;
    engine::create(cx, &stack)?;
    Ok(json!({"StackId": stack.id}))
}

/// Returns a new stack that is not stored yet.
pub fn new(cx: &Context, name: &str, call: &Call) -> Stack {
    Stack {
        id: call.text(stack::NEW_ID).unwrap_or_else(|| stack::new_id(cx, name)),
        name: name.to_owned(),
        created: stack::now(),
        capabilities: call.texts("Capabilities"),
        termination_protection: call.boolean("EnableTerminationProtection").unwrap_or(false),
        timeout_minutes: call.integer("TimeoutInMinutes").and_then(|m| u64::try_from(m).ok()),
        token: call.text("ClientRequestToken"),
        ..Stack::default()
    }
}

/// Returns the failure option of a request.
pub fn on_failure(call: &Call) -> Result<Option<OnFailure>, AwsError> {
    match (call.text("OnFailure").as_deref(), call.boolean("DisableRollback")) {
        (Some(_), Some(true)) => Err(AwsError::validation(
            "You can specify either DisableRollback or OnFailure, but not both.",
        )),
        (Some("DO_NOTHING"), _) | (None, Some(true)) => Ok(Some(OnFailure::DoNothing)),
        (Some("DELETE"), _) => Ok(Some(OnFailure::Delete)),
        (Some("ROLLBACK"), _) | (None, Some(false)) => Ok(Some(OnFailure::Rollback)),
        (Some(other), _) => Err(AwsError::validation(format!(
            "Value '{other}' at 'onFailure' is not one of [ROLLBACK, DELETE, DO_NOTHING]"
        ))),
        (None, None) => Ok(None),
    }
}

/// Checks that a stack's status permits an update.
pub fn check_updatable(stack: &Stack) -> Result<(), AwsError> {
    const FROM: &[&str] = &[
        "CREATE_COMPLETE",
        "CREATE_FAILED",
        "UPDATE_COMPLETE",
        "UPDATE_FAILED",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
    ];
    if FROM.contains(&stack.status.as_str()) {
        Ok(())
    } else {
        Err(AwsError::validation(format!(
            "Stack:{} is in {} state and can not be updated.",
            stack.id, stack.status
        )))
    }
}

/// Handles `UpdateStack`.
pub async fn update(cx: &Context, call: &Call, objects: ObjectReader) -> Result<Value, AwsError> {
    let name = call.required("StackName")?;
    let missing = || AwsError::validation(format!("Stack [{name}] does not exist"));
    let stack = stack::find(cx, &name)?.ok_or_else(missing)?;
    let token = call.text("ClientRequestToken");
    if token.is_some() && stack.token == token && stack.status.starts_with("UPDATE_") {
        return Ok(json!({"StackId": stack.id}));
    }
    check_updatable(&stack)?;
    let (template, definition) = input::definition(cx, call, objects, &stack).await?;
    let preview = change_set_preview::preview(cx, &stack, &template, &definition).await?;
    if preview.is_empty && !stack.status.ends_with("_FAILED") {
        return Err(AwsError::validation("No updates are to be performed."));
    }
    let (on_failure, role) = (on_failure(call)?.unwrap_or_default(), input::role(cx, call).await?);
    engine::update(cx, &stack.id, definition, |stack| {
        stack.on_failure = on_failure;
        stack.role = role.or(stack.role.take());
        stack.token = token;
        stack.capabilities = call.texts("Capabilities");
    })?;
    Ok(json!({"StackId": stack.id}))
}

/// Handles `DeleteStack`.
pub async fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let Some(stack) = stack::find(cx, &call.required("StackName")?)? else {
        return Ok(json!({}));
    };
    if stack.is_deleted() || stack.status == "DELETE_IN_PROGRESS" {
        return Ok(json!({}));
    }
    if stack.termination_protection {
        return Err(AwsError::validation(format!(
            "Stack [{}] cannot be deleted while TerminationProtection is enabled",
            stack.name
        )));
    }
    for export in stack.outputs.iter().filter_map(|o| o.export.as_deref()) {
        let importers: Vec<String> = importers(cx, export)?
            .into_iter()
            .filter(|name| *name != stack.name)
            .collect();
        if !importers.is_empty() {
            return Err(AwsError::validation(format!(
                "Export {export} cannot be deleted as it is in use by {}",
                importers.join(" and ")
            )));
        }
    }
    let retain = call.texts("RetainResources");
    if !retain.is_empty() && stack.status != "DELETE_FAILED" {
        return Err(AwsError::validation(format!(
            "Invalid operation on stack [{}]. RetainResources can be given for a stack in DELETE_FAILED only.",
            stack.id
        )));
    }
    let (sets, token) = (change_set::of_stack(cx, &stack.id)?, call.text("ClientRequestToken"));
    let role = input::role(cx, call).await?;
    engine::delete(cx, &stack.id, retain, |stack| {
        stack.token = token;
        stack.role = role.or(stack.role.take());
    })?;
    for set in sets {
        change_set::delete(cx, &set.id)?;
    }
    Ok(json!({}))
}

/// Handles `CancelUpdateStack`.
pub fn cancel(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let stack = input::stack(cx, call)?;
    if stack.status != "UPDATE_IN_PROGRESS" {
        return Err(AwsError::validation(
            "CancelUpdateStack cannot be called from current stack status",
        ));
    }
    engine::cancel(cx, &stack.id);
    Ok(json!({}))
}

/// Handles `ContinueUpdateRollback`.
pub async fn continue_rollback(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let stack = input::stack(cx, call)?;
    if stack.status != "UPDATE_ROLLBACK_FAILED" {
        return Err(AwsError::validation(format!(
            "Stack:{} is in {} state and can not continue a rollback.",
            stack.id, stack.status
        )));
    }
    let role = input::role(cx, call).await?;
    engine::continue_rollback(cx, &stack.id, call.texts("ResourcesToSkip"), |stack| {
        stack.role = role.or(stack.role.take());
    })?;
    Ok(json!({}))
}

/// Handles `RollbackStack`.
pub async fn roll_back(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let stack = input::stack(cx, call)?;
    if !matches!(stack.status.as_str(), "CREATE_FAILED" | "UPDATE_FAILED") {
        return Err(AwsError::validation(format!(
            "Stack:{} is in {} state and can not be rolled back.",
            stack.id, stack.status
        )));
    }
    let role = input::role(cx, call).await?;
    engine::roll_back(cx, &stack.id, |stack| stack.role = role.or(stack.role.take()))?;
    Ok(json!({"StackId": stack.id}))
}

/// Handles `UpdateTerminationProtection`.
pub fn protect(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let stack = input::stack(cx, call)?;
    if stack.is_deleted() {
        return Err(AwsError::validation(format!("Stack [{}] does not exist", stack.name)));
    }
    let termination_protection = call
        .boolean("EnableTerminationProtection")
        .ok_or_else(|| AwsError::validation("EnableTerminationProtection is required."))?;
    stack::edit(cx, &stack.id, |stack| {
        stack.termination_protection = termination_protection;
    })?;
    Ok(json!({"StackId": stack.id}))
}
