//! Back to what was there before.

use indexmap::IndexMap;

use super::compare::differences;
use super::engine::{self, Work};
use super::graph::{Graph, order};
use super::stack::Member;
use super::{delete, deploy};
use endpoint_core::Desired;

/// Takes away what a failed creation made.
pub async fn of_create(work: &Work) -> anyhow::Result<()> {
    let failed = delete::members(work).await?;
    if work.is_superseded() {
        return Ok(());
    }
    if failed.is_empty() {
        return work.status("ROLLBACK_COMPLETE", None);
    }
    work.status(
        "ROLLBACK_FAILED",
        Some(format!(
            "The following resource(s) failed to delete: [{}].",
            failed.join(", ")
        )),
    )
}

/// Restores each resource to what it was before a failed update, then takes away what the update made. Can be run
/// again after it failed; the resources in `skip` are then taken as they are.
pub async fn of_update(work: &Work, skip: &[String]) -> anyhow::Result<()> {
    let stack = work.stack()?;
    let Some(previous) = stack.previous.clone() else {
        return work.status(
            "UPDATE_ROLLBACK_FAILED",
            Some("What the stack was before is not known.".to_owned()),
        );
    };
    for id in in_order(&previous.members) {
        if work.is_superseded() {
            return Ok(());
        }
        let before = &previous.members[&id];
        let is_restored = skip.contains(&id) || restore(work, before).await?;
        if !is_restored {
            let reason = format!("The following resource(s) failed to update: [{id}].");
            return work.status("UPDATE_ROLLBACK_FAILED", Some(reason));
        }
    }
    work.edit(|stack| {
        let kept: Vec<_> = previous
            .members
            .values()
            .filter_map(|m| m.physical_id.clone())
            .collect();
        let is_made = |m: &Member| m.physical_id.as_ref().is_some_and(|id| !kept.contains(id));
        let made: Vec<Member> = stack.members.values().filter(|m| is_made(m)).cloned().collect();
        stack.garbage.retain(|m| is_made(m));
        stack.garbage.extend(made);
        stack.members.retain(|id, _| previous.members.contains_key(id));
        stack.goal = previous.goal;
        stack.outputs = previous.outputs;
        stack.imports = previous.imports;
        stack.previous = None;
    })?;
    work.status("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", None)?;
    engine::clean_up(work, "UPDATE_ROLLBACK_COMPLETE").await
}

/// Restores one resource; says whether it could.
async fn restore(work: &Work, before: &Member) -> anyhow::Result<bool> {
    let (id, stack) = (before.logical_id.as_str(), work.stack()?);
    let now = stack.members.get(id).cloned().unwrap_or_default();
    if now == *before {
        return Ok(true);
    }
    if now.physical_id != before.physical_id {
        // The replacement goes in the clean-up; the old one was never touched.
        work.edit(|stack| {
            stack.garbage.retain(|m| m.physical_id != before.physical_id);
            if now.physical_id.is_some() {
                stack.garbage.push(now);
            }
            stack.members.insert(id.to_owned(), before.clone());
        })?;
        work.member(id, |m| m.status = "UPDATE_COMPLETE".to_owned())?;
        return Ok(true);
    }
    if differences(&now.properties, &before.properties).is_empty() && now.tags == before.tags {
        let was_touched = now.status != before.status || now.updated != before.updated;
        work.edit(|stack| stack.members.insert(id.to_owned(), before.clone()))?;
        if was_touched {
            work.member(id, |m| {
                m.status = "UPDATE_COMPLETE".to_owned();
                m.reason = None;
            })?;
        }
        return Ok(true);
    }
    work.member(id, |m| {
        m.status = "UPDATE_IN_PROGRESS".to_owned();
        m.reason = None;
    })?;
    let Some(kind) = work.cx.resource_type(&before.kind) else {
        return Ok(false);
    };
    let desired = |properties| Desired {
        stack_name: stack.name.clone(),
        stack_id: stack.id.clone(),
        logical_id: id.to_owned(),
        properties,
        tags: before.tags.clone(),
        initiated: Default::default(),
        cancel: work.cancel_of_rollback(),
    };
    match deploy::change(work, &kind, &now, &desired, &before.properties).await {
        Ok(resource) => {
            work.member(id, |m| {
                *m = before.clone();
                m.physical_id = Some(resource.physical_id);
                m.attributes = resource.attributes;
                m.status = "UPDATE_COMPLETE".to_owned();
                m.reason = None;
            })?;
            Ok(true)
        }
        Err(failure) => {
            work.member(id, |m| {
                m.status = "UPDATE_FAILED".to_owned();
                m.reason = Some(failure.0);
            })?;
            Ok(false)
        }
    }
}

fn in_order(members: &IndexMap<String, Member>) -> Vec<String> {
    let graph: Graph = members.iter().map(|(id, m)| (id.clone(), m.needs.clone())).collect();
    order(&graph).unwrap_or_else(|_| members.keys().cloned().collect())
}
