//! Rollback of a failed creation or update.

use indexmap::IndexMap;

use crate::compare::differences;
use crate::delete;
use crate::graph::{Graph, order};
use crate::operation::StackOperation;
use crate::stack::{self, StackResource};
use endpoint_core::{Desired, Initiated};

/// Deletes the resources of a failed creation.
///
/// # Errors
/// When the state cannot be read or written.
pub async fn roll_back_creation(operation: &StackOperation) -> anyhow::Result<()> {
    let failed = delete::delete_all_resources(operation).await?;
    if operation.is_superseded() {
        return Ok(());
    }
    if failed.is_empty() {
        return operation.end("ROLLBACK_COMPLETE", None, |stack| {
            // As AWS shows such a stack, which can only be deleted.
            stack.deleted = Some(stack::now());
            stack.change_set = None;
        });
    }
    operation.set_status("ROLLBACK_FAILED", Some(delete::failed_reason(&failed)))
}

/// Restores each resource to its state before a failed update, then deletes the resources that the update created. Can run again
/// after it failed; the resources in `skip` are then not restored.
///
/// # Errors
/// When the state cannot be read or written.
pub async fn roll_back_update(operation: &StackOperation, skip: &[String]) -> anyhow::Result<()> {
    let stack = operation.stack()?;
    let Some(previous) = stack.previous.clone() else {
        let reason = "The state before the update is unknown.";
        return operation.set_status("UPDATE_ROLLBACK_FAILED", Some(reason.to_owned()));
    };
    for id in in_order(&previous.resources) {
        if operation.is_superseded() {
            return Ok(());
        }
        let before = &previous.resources[&id];
        let is_restored = skip.contains(&id) || restore(operation, before).await?;
        if !is_restored {
            let reason = format!("The following resource(s) failed to update: [{id}].");
            return operation.set_status("UPDATE_ROLLBACK_FAILED", Some(reason));
        }
    }
    operation.end("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", None, |stack| {
        let physical_ids = previous.resources.values().filter_map(|r| r.physical_id.clone());
        let physical_ids: Vec<_> = physical_ids.collect();
        let is_created = |r: &StackResource| r.physical_id.as_ref().is_some_and(|id| !physical_ids.contains(id));
        let created = stack.resources.values().filter(|r| is_created(r));
        let created: Vec<StackResource> = created.cloned().collect();
        stack.pending_deletion.retain(is_created);
        stack.pending_deletion.extend(created);
        stack.resources.retain(|id, _| previous.resources.contains_key(id));
        stack.definition = previous.definition;
        stack.outputs = previous.outputs;
        stack.imports = previous.imports;
        stack.previous = None;
    })?;
    delete::clean_up(operation, "UPDATE_ROLLBACK_COMPLETE").await
}

/// Restores one resource. Returns false if its update failed.
async fn restore(operation: &StackOperation, before: &StackResource) -> anyhow::Result<bool> {
    let (id, stack) = (before.logical_id.as_str(), operation.stack()?);
    let now = stack.resources.get(id).cloned().unwrap_or_default();
    if now == *before {
        return Ok(true);
    }
    let set_status = |status: &str, reason: Option<String>| {
        operation.edit_resource(id, |resource| {
            resource.status = status.into();
            resource.reason = reason;
        })
    };
    if now.physical_id != before.physical_id {
        // The clean-up deletes the replacement; the replaced resource is unchanged.
        operation.cx.store().transaction(|| {
            operation.edit(|stack| {
                stack.pending_deletion.retain(|r| r.physical_id != before.physical_id);
                if now.physical_id.is_some() {
                    stack.pending_deletion.push(now);
                }
                stack.resources.insert(id.to_owned(), before.clone());
            })?;
            operation.edit_resource(id, |resource| resource.status = "UPDATE_COMPLETE".into())
        })?;
        return Ok(true);
    }
    if differences(&now.properties, &before.properties).is_empty() && now.tags == before.tags {
        let was_changed = now.status != before.status || now.updated != before.updated;
        return operation.cx.store().transaction(|| {
            operation.edit(|stack| stack.resources.insert(id.to_owned(), before.clone()))?;
            if was_changed {
                set_status("UPDATE_COMPLETE", None)?;
            }
            Ok(true)
        });
    }
    set_status("UPDATE_IN_PROGRESS", None)?;
    let Some(resource_type) = operation.cx.resource_type(&before.resource_type) else {
        return Ok(false);
    };
    let desired = |properties| Desired {
        stack_name: stack.name.clone(),
        stack_id: stack.id.clone(),
        logical_id: id.to_owned(),
        properties,
        tags: before.tags.clone(),
        initiated: Initiated::default(),
        cancel: operation.rollback_cancel(),
    };
    let properties = &before.properties;
    let updated = operation.update_in_place(resource_type.as_ref(), &now, &desired, properties);
    match updated.await {
        Ok(restored) => {
            operation.edit_resource(id, |resource| {
                *resource = before.clone();
                resource.physical_id = Some(restored.physical_id);
                resource.attributes = restored.attributes;
                resource.status = "UPDATE_COMPLETE".into();
                resource.reason = None;
            })?;
            Ok(true)
        }
        Err(failure) => {
            set_status("UPDATE_FAILED", Some(failure.to_string()))?;
            Ok(false)
        }
    }
}

fn in_order(resources: &IndexMap<String, StackResource>) -> Vec<String> {
    let graph: Graph = resources
        .iter()
        .map(|(id, r)| (id.clone(), r.depends_on.clone()))
        .collect();
    order(&graph).unwrap_or_else(|_| resources.keys().cloned().collect())
}
