//! Deletion of resources, dependents before their dependencies.

use std::collections::HashMap;

use serde_json::Value;
use tokio::task::JoinSet;

use crate::operation::StackOperation;
use crate::stack::{self, Stack, StackResource};

/// Deletes a stack with its resources, except those in `retain`.
///
/// # Errors
/// When the state cannot be read or written, as for all functions here.
pub async fn delete_stack(operation: &StackOperation, retain: &[String]) -> anyhow::Result<()> {
    let stack = operation.stack()?;
    let mut resources: Vec<StackResource> = existing(&stack);
    for resource in resources.iter_mut().filter(|r| retain.contains(&r.logical_id)) {
        resource.deletion_policy = Some("Retain".to_owned());
    }
    resources.extend(stack.pending_deletion);
    let failed = delete_resources(operation, resources, false).await?;
    if operation.is_superseded() {
        return Ok(());
    }
    if !failed.is_empty() {
        return operation.set_status("DELETE_FAILED", Some(failed_reason(&failed)));
    }
    operation.end("DELETE_COMPLETE", None, |stack| {
        stack.deleted = Some(stack::now());
        stack.previous = None;
        stack.pending_deletion.clear();
        stack.outputs.clear();
        stack.imports.clear();
        for resource in stack.resources.values_mut() {
            resource.properties.clear();
            resource.attributes.clear();
        }
    })
}

/// Deletes all resources of a stack whose creation failed, and returns the ids of those that could not be deleted.
///
/// # Errors
/// As for `delete_stack`.
pub async fn delete_all_resources(operation: &StackOperation) -> anyhow::Result<Vec<String>> {
    let resources = existing(&operation.stack()?);
    delete_resources(operation, resources, true).await
}

/// Deletes the resources that an update replaced or removed, and sets the stack's status. A failure is recorded as an event, and
/// does not change the status.
///
/// # Errors
/// As for `delete_stack`.
pub async fn clean_up(operation: &StackOperation, status: &str) -> anyhow::Result<()> {
    let resources = operation.stack()?.pending_deletion;
    delete_resources(operation, resources, true).await?;
    if operation.is_superseded() {
        return Ok(());
    }
    operation.end(status, None, |stack| stack.pending_deletion.clear())
}

/// Returns the reason of a status that follows from failed deletions.
pub fn failed_reason(ids: &[String]) -> String {
    format!("The following resource(s) failed to delete: [{}].", ids.join(", "))
}

fn existing(stack: &Stack) -> Vec<StackResource> {
    let is_deleted = |r: &StackResource| matches!(r.status.as_str(), "DELETE_COMPLETE" | "DELETE_SKIPPED");
    stack.resources.values().filter(|r| !is_deleted(r)).cloned().collect()
}

/// Deletes resources, each after its dependents, and returns the ids of those that could not be deleted. The dependencies of such
/// a resource are not deleted.
async fn delete_resources(
    operation: &StackOperation,
    resources: Vec<StackResource>,
    in_rollback: bool,
) -> anyhow::Result<Vec<String>> {
    let mut waiting: HashMap<usize, StackResource> = resources.into_iter().enumerate().collect();
    let (mut remaining, mut failed) = (waiting.clone(), Vec::new());
    let mut running: JoinSet<(usize, String, anyhow::Result<bool>)> = JoinSet::new();
    loop {
        let has_dependent = |i: usize, resource: &StackResource| {
            remaining.iter().any(|(j, other)| {
                *j != i && other.logical_id != resource.logical_id && other.depends_on.contains(&resource.logical_id)
            })
        };
        let deletable = waiting.iter().filter(|(i, resource)| !has_dependent(**i, resource));
        let mut next: Vec<usize> = deletable.map(|(i, _)| *i).collect();
        if next.is_empty() && running.is_empty() && failed.is_empty() {
            // The old and the new resources of an update may depend on each other: then the order does not matter.
            next = waiting.keys().copied().collect();
        }
        if operation.is_superseded() {
            next.clear();
        }
        for i in next {
            let Some(resource) = waiting.remove(&i) else { continue };
            let operation = operation.clone();
            running.spawn(async move {
                let id = resource.logical_id.clone();
                (i, id, delete_resource(&operation, resource, in_rollback).await)
            });
        }
        let Some(ended) = running.join_next().await else { break };
        let (i, id, is_deleted) = ended?;
        if is_deleted? {
            remaining.remove(&i);
        } else {
            failed.push(id);
        }
    }
    Ok(failed)
}

/// Deletes one resource. Returns true if it is deleted or retained.
async fn delete_resource(
    operation: &StackOperation,
    mut resource: StackResource,
    in_rollback: bool,
) -> anyhow::Result<bool> {
    let stack = operation.stack()?;
    let resource_type = operation.cx.resource_type(&resource.resource_type);
    let supports_snapshots = resource_type.as_ref().is_some_and(|one| one.supports_snapshots());
    let policy = policy(&stack, &resource, in_rollback, supports_snapshots);
    let Some(physical_id) = resource.physical_id.clone() else {
        set_status(operation, &mut resource, "DELETE_COMPLETE", None)?;
        return Ok(true);
    };
    if policy.as_deref() == Some("Retain") {
        set_status(operation, &mut resource, "DELETE_SKIPPED", None)?;
        return Ok(true);
    }
    set_status(operation, &mut resource, "DELETE_IN_PROGRESS", None)?;
    let Some(resource_type) = resource_type else {
        let reason = format!("Unrecognized resource type: {}", resource.resource_type);
        set_status(operation, &mut resource, "DELETE_FAILED", Some(reason))?;
        return Ok(false);
    };
    let (cx, properties) = (&operation.cx, Value::Object(resource.properties.clone()));
    let deleted = match policy.as_deref() {
        Some("Snapshot") if supports_snapshots => {
            let name = snapshot_name(&stack.name, &resource.logical_id);
            resource_type
                .delete_with_snapshot(cx, &physical_id, &properties, &name)
                .await
        }
        _ => resource_type.delete(cx, &physical_id, &properties).await,
    };
    match deleted {
        Ok(()) => set_status(operation, &mut resource, "DELETE_COMPLETE", None).map(|()| true),
        Err(failure) => {
            set_status(operation, &mut resource, "DELETE_FAILED", Some(failure.to_string())).map(|()| false)
        }
    }
}

/// Returns `STACK-snapshot-LOGICALID-RANDOM`, CloudFormation's name for the final snapshot of a database.
fn snapshot_name(stack: &str, logical_id: &str) -> String {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let random: String = (0..12)
        .map(|_| ALPHABET[rand::random_range(0..ALPHABET.len())] as char)
        .collect();
    // An RDS identifier has no two consecutive hyphens, unlike a stack's name, and at most 255 characters.
    let parts = stack.split('-').filter(|part| !part.is_empty());
    let stem = parts.chain(["snapshot", logical_id]).collect::<Vec<_>>().join("-");
    let stem: String = stem.to_lowercase().chars().take(242).collect();
    format!("{stem}-{random}")
}

/// Returns the policy for the deletion of a resource: `DeletionPolicy`, or `UpdateReplacePolicy` for a replaced resource.
fn policy(stack: &Stack, resource: &StackResource, in_rollback: bool, supports_snapshots: bool) -> Option<String> {
    let current = stack.resources.get(&resource.logical_id).map(|r| &r.physical_id);
    let is_replaced = current.is_some_and(|id| *id != resource.physical_id);
    match is_replaced {
        true if resource.is_new => None,
        true => resource.update_replace_policy.clone(),
        false => match resource.deletion_policy.as_deref() {
            Some("RetainExceptOnCreate") if in_rollback && resource.is_new => None,
            Some("RetainExceptOnCreate") => Some("Retain".to_owned()),
            None if supports_snapshots => Some("Snapshot".to_owned()),
            _ => resource.deletion_policy.clone(),
        },
    }
}

/// Sets the status of a resource of the stack, or of one that is pending deletion, and records an event.
fn set_status(
    operation: &StackOperation,
    resource: &mut StackResource,
    status: &str,
    reason: Option<String>,
) -> anyhow::Result<()> {
    resource.status = status.into();
    resource.reason = reason;
    resource.updated = stack::now();
    operation.cx.store().transaction(|| {
        let stack = operation.edit(|stack| {
            let stored = stack.resources.get_mut(&resource.logical_id);
            match stored.filter(|r| r.physical_id == resource.physical_id) {
                Some(stored) => {
                    stored.status.clone_from(&resource.status);
                    stored.reason.clone_from(&resource.reason);
                    stored.updated.clone_from(&resource.updated);
                }
                None if matches!(status, "DELETE_COMPLETE" | "DELETE_SKIPPED") => {
                    let is_same = |r: &StackResource| {
                        r.physical_id == resource.physical_id && r.logical_id == resource.logical_id
                    };
                    stack.pending_deletion.retain(|r| !is_same(r));
                }
                None => {}
            }
            stack.clone()
        })?;
        stack.record_event(&operation.cx, Some(resource))
    })
}
