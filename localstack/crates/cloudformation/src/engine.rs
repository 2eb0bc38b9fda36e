//! The operations of the engine: create, update, delete, roll back, and recovery after a crash.

use crate::delete::{clean_up, delete_stack};
use crate::deploy::{DeploymentError, deploy};
use crate::operation::{self, StackOperation, set_status};
use crate::rollback::{roll_back_creation, roll_back_update};
use crate::stack::{self, OnFailure, PreviousState, Stack, StackDefinition};
use endpoint_core::Context;

pub use crate::operation::{cancel, stop_all};

const USER_INITIATED: &str = "User Initiated";

/// Stores a stack, and starts its creation.
///
/// # Errors
/// When the state cannot be read or written, as for all functions here.
pub fn create(cx: &Context, stack: &Stack) -> anyhow::Result<()> {
    cx.store().transaction(|| {
        stack::insert(cx, stack)?;
        set_status(
            cx,
            &stack.id,
            "CREATE_IN_PROGRESS",
            Some(USER_INITIATED.to_owned()),
            |_| {},
        )
    })?;
    operation::start(cx, &stack.id, |operation| async move {
        let result = deploy(&operation).await;
        finish_creation(&operation, result).await
    });
    Ok(())
}

async fn finish_creation(operation: &StackOperation, result: Result<(), DeploymentError>) -> anyhow::Result<()> {
    let Some(error) = failure(result)? else {
        return operation.set_status("CREATE_COMPLETE", None);
    };
    if matches!(error, DeploymentError::Superseded) {
        return Ok(());
    }
    match operation.stack()?.on_failure {
        OnFailure::DoNothing => operation.set_status("CREATE_FAILED", Some(error.to_string())),
        OnFailure::Rollback => {
            let reason = format!("{error} Rollback requested by user.");
            operation.set_status("ROLLBACK_IN_PROGRESS", Some(reason))?;
            roll_back_creation(operation).await
        }
        OnFailure::Delete => {
            let reason = format!("{error} Delete requested by user.");
            operation.set_status("DELETE_IN_PROGRESS", Some(reason))?;
            delete_stack(operation, &[]).await
        }
    }
}

/// Starts an update to a new definition after `change`; the current state is stored for a rollback.
///
/// # Errors
/// As for `create`.
pub fn update(
    cx: &Context,
    id: &str,
    definition: StackDefinition,
    change: impl FnOnce(&mut Stack),
) -> anyhow::Result<()> {
    let reason = Some(USER_INITIATED.to_owned());
    set_status(cx, id, "UPDATE_IN_PROGRESS", reason, |stack| {
        change(stack);
        for resource in stack.resources.values_mut() {
            resource.is_new = false;
        }
        stack.previous = Some(Box::new(PreviousState {
            definition: std::mem::replace(&mut stack.definition, definition),
            resources: stack.resources.clone(),
            outputs: stack.outputs.clone(),
            imports: stack.imports.clone(),
        }));
        stack.updated = Some(stack::now());
    })?;
    operation::start(cx, id, |operation| async move {
        let result = deploy(&operation).await;
        finish_update(&operation, result).await
    });
    Ok(())
}

async fn finish_update(operation: &StackOperation, result: Result<(), DeploymentError>) -> anyhow::Result<()> {
    let Some(error) = failure(result)? else {
        operation.end("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", None, |stack| {
            stack.previous = None;
        })?;
        return clean_up(operation, "UPDATE_COMPLETE").await;
    };
    if matches!(error, DeploymentError::Superseded) {
        return Ok(());
    }
    if operation.stack()?.on_failure == OnFailure::DoNothing {
        return operation.set_status("UPDATE_FAILED", Some(error.to_string()));
    }
    operation.set_status("UPDATE_ROLLBACK_IN_PROGRESS", Some(error.to_string()))?;
    roll_back_update(operation, &[]).await
}

/// Returns the error of a failed deployment, except one of the state, which aborts the operation.
fn failure(result: Result<(), DeploymentError>) -> anyhow::Result<Option<DeploymentError>> {
    match result {
        Ok(()) => Ok(None),
        Err(DeploymentError::State(error)) => Err(error),
        Err(error) => Ok(Some(error)),
    }
}

/// Starts the deletion of a stack, after `change`. A running operation on it is superseded.
///
/// # Errors
/// As for `create`.
pub fn delete(cx: &Context, id: &str, retain: Vec<String>, change: impl FnOnce(&mut Stack)) -> anyhow::Result<()> {
    set_status(cx, id, "DELETE_IN_PROGRESS", Some(USER_INITIATED.to_owned()), change)?;
    operation::start(cx, id, move |operation| async move {
        delete_stack(&operation, &retain).await
    });
    Ok(())
}

/// Continues a failed rollback of an update after `change`. The resources in `skip` are not restored.
///
/// # Errors
/// As for `create`.
pub fn continue_rollback(
    cx: &Context,
    id: &str,
    skip: Vec<String>,
    change: impl FnOnce(&mut Stack),
) -> anyhow::Result<()> {
    set_status(
        cx,
        id,
        "UPDATE_ROLLBACK_IN_PROGRESS",
        Some(USER_INITIATED.to_owned()),
        change,
    )?;
    operation::start(cx, id, move |operation| async move {
        roll_back_update(&operation, &skip).await
    });
    Ok(())
}

/// Rolls back, after `change`, a failed operation whose failure option was to do nothing (`RollbackStack`).
///
/// # Errors
/// As for `create`.
pub fn roll_back(cx: &Context, id: &str, change: impl FnOnce(&mut Stack)) -> anyhow::Result<()> {
    let is_creation = stack::existing(cx, id)?.previous.is_none();
    let status = if is_creation {
        "ROLLBACK_IN_PROGRESS"
    } else {
        "UPDATE_ROLLBACK_IN_PROGRESS"
    };
    set_status(cx, id, status, Some(USER_INITIATED.to_owned()), change)?;
    operation::start(cx, id, move |operation| async move {
        if is_creation {
            roll_back_creation(&operation).await
        } else {
            roll_back_update(&operation, &[]).await
        }
    });
    Ok(())
}

/// Resumes the operations that a stopped endpoint interrupted: creations and updates are rolled back, rollbacks and deletions
/// continue.
///
/// # Errors
/// As for `create`.
pub fn recover(cx: &Context) -> anyhow::Result<()> {
    stack::forget_deleted(cx)?;
    for stack in stack::all(cx)?.into_iter().filter(Stack::is_in_progress) {
        let (id, status) = (stack.id.clone(), stack.status.clone());
        tracing::info!(stack = %stack.name, %status, "resuming an interrupted stack operation");
        let resources = stack.resources.values();
        for resource in resources.filter(|r| r.status.ends_with("_IN_PROGRESS")) {
            cx.store().transaction(|| {
                let stack = stack::edit(cx, &id, |stack| {
                    let resource = stack.resources.entry(resource.logical_id.clone()).or_default();
                    resource.status = resource.status.replace("_IN_PROGRESS", "_FAILED");
                    resource.reason = Some(DeploymentError::EndpointStopped.to_string());
                    stack.clone()
                })?;
                stack.record_event(cx, stack.resources.get(&resource.logical_id))
            })?;
        }
        operation::start(cx, &id, move |operation| async move {
            let interrupted = Err(DeploymentError::EndpointStopped);
            match status.as_str() {
                "CREATE_IN_PROGRESS" => finish_creation(&operation, interrupted).await,
                "ROLLBACK_IN_PROGRESS" => roll_back_creation(&operation).await,
                "UPDATE_IN_PROGRESS" => finish_update(&operation, interrupted).await,
                "UPDATE_ROLLBACK_IN_PROGRESS" => roll_back_update(&operation, &[]).await,
                "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" => clean_up(&operation, "UPDATE_COMPLETE").await,
                "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS" => {
                    clean_up(&operation, "UPDATE_ROLLBACK_COMPLETE").await
                }
                _ => delete_stack(&operation, &[]).await,
            }
        });
    }
    Ok(())
}
