//! Takes resources away, users before what they use.

use std::collections::HashMap;

use tokio::task::JoinSet;

use super::engine::Work;
use super::stack::{self, Member, Stack};

/// Deletes a whole stack, except the resources in `retain`.
pub async fn stack(work: &Work, retain: &[String]) -> anyhow::Result<()> {
    let stack = work.stack()?;
    let mut doomed: Vec<Member> = stack.members.values().filter(|m| is_there(m)).cloned().collect();
    for member in doomed.iter_mut().filter(|m| retain.contains(&m.logical_id)) {
        member.deletion_policy = Some("Retain".to_owned());
    }
    doomed.extend(stack.garbage);
    let failed = each(work, doomed, false).await?;
    if work.is_superseded() {
        return Ok(());
    }
    if !failed.is_empty() {
        return work.status(
            "DELETE_FAILED",
            Some(format!(
                "The following resource(s) failed to delete: [{}].",
                failed.join(", ")
            )),
        );
    }
    let stack = work.edit(|stack| {
        stack.status = "DELETE_COMPLETE".to_owned();
        stack.reason = None;
        stack.deleted = Some(stack::now());
        stack.previous = None;
        stack.garbage.clear();
        stack.outputs.clear();
        stack.imports.clear();
        for member in stack.members.values_mut() {
            member.properties.clear();
            member.attributes.clear();
        }
        stack.clone()
    })?;
    stack.tell(&work.cx, None)
}

/// Deletes all resources of a stack whose creation failed; gives those that could not be deleted.
pub async fn members(work: &Work) -> anyhow::Result<Vec<String>> {
    let doomed = work
        .stack()?
        .members
        .values()
        .filter(|m| is_there(m))
        .cloned()
        .collect();
    each(work, doomed, true).await
}

/// Deletes what an update replaced or dropped.
pub async fn garbage(work: &Work) -> anyhow::Result<Vec<String>> {
    let doomed = work.stack()?.garbage;
    each(work, doomed, true).await
}

fn is_there(member: &Member) -> bool {
    !matches!(member.status.as_str(), "DELETE_COMPLETE" | "DELETE_SKIPPED")
}

/// Deletes each, in reverse order of need, and gives the ids of those that could not be deleted. What such a one
/// uses is left alone.
async fn each(work: &Work, doomed: Vec<Member>, in_rollback: bool) -> anyhow::Result<Vec<String>> {
    let mut waiting: HashMap<usize, Member> = doomed.into_iter().enumerate().collect();
    let (mut in_the_way, mut failed) = (waiting.clone(), Vec::new());
    let mut running: JoinSet<(usize, String, anyhow::Result<bool>)> = JoinSet::new();
    loop {
        let is_free = |i: &usize, member: &Member, others: &HashMap<usize, Member>| {
            !others.iter().any(|(j, other)| {
                j != i && other.logical_id != member.logical_id && other.needs.contains(&member.logical_id)
            })
        };
        let mut next: Vec<usize> = waiting
            .iter()
            .filter(|(i, m)| is_free(i, m, &in_the_way))
            .map(|(i, _)| *i)
            .collect();
        if next.is_empty() && running.is_empty() && failed.is_empty() {
            // Two generations of a stack may need each other crosswise: then any order is as good.
            next = waiting.keys().copied().collect();
        }
        if work.is_superseded() {
            next.clear();
        }
        for i in next {
            let Some(member) = waiting.remove(&i) else { continue };
            let work = work.clone();
            running.spawn(async move {
                let id = member.logical_id.clone();
                (i, id, one(&work, member, in_rollback).await)
            });
        }
        let Some(ended) = running.join_next().await else { break };
        let (i, id, outcome) = ended?;
        match outcome? {
            true => {
                in_the_way.remove(&i);
            }
            false => failed.push(id),
        }
    }
    Ok(failed)
}

/// Deletes one resource; says whether it is out of the way.
async fn one(work: &Work, mut member: Member, in_rollback: bool) -> anyhow::Result<bool> {
    let stack = work.stack()?;
    let kind = work.cx.resource_type(&member.kind);
    let supports_snapshots = kind.as_ref().is_some_and(|kind| kind.supports_snapshots());
    let policy = policy(&stack, &member, in_rollback, supports_snapshots);
    let Some(physical_id) = member.physical_id.clone() else {
        told(work, &mut member, "DELETE_COMPLETE", None)?;
        return Ok(true);
    };
    if policy.as_deref() == Some("Retain") {
        told(work, &mut member, "DELETE_SKIPPED", None)?;
        return Ok(true);
    }
    told(work, &mut member, "DELETE_IN_PROGRESS", None)?;
    let Some(kind) = kind else {
        let reason = format!("Unrecognized resource type: {}", member.kind);
        told(work, &mut member, "DELETE_FAILED", Some(reason))?;
        return Ok(false);
    };
    let properties = serde_json::Value::Object(member.properties.clone());
    let deleted = match policy.as_deref() {
        Some("Snapshot") if supports_snapshots => {
            let name = snapshot_name(&stack.name, &member.logical_id);
            kind.delete_with_snapshot(&work.cx, &physical_id, &properties, &name)
                .await
        }
        _ => kind.delete(&work.cx, &physical_id, &properties).await,
    };
    match deleted {
        Ok(()) => told(work, &mut member, "DELETE_COMPLETE", None).map(|()| true),
        Err(failure) => told(work, &mut member, "DELETE_FAILED", Some(failure.0)).map(|()| false),
    }
}

/// `STACK-snapshot-LOGICALID-RANDOM`, as CloudFormation names the last snapshots of databases.
fn snapshot_name(stack: &str, logical_id: &str) -> String {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let random: String = (0..12)
        .map(|_| ALPHABET[rand::random_range(0..ALPHABET.len())] as char)
        .collect();
    // An identifier of RDS has no two hyphens in a row, and at most 255 characters; a stack's name may have the former.
    let words = stack.split('-').filter(|word| !word.is_empty());
    let stem = words.chain(["snapshot", logical_id]).collect::<Vec<_>>().join("-");
    let stem: String = stem.to_lowercase().chars().take(242).collect();
    format!("{stem}-{random}")
}

/// What the template wants to happen to a resource that goes.
fn policy(stack: &Stack, member: &Member, in_rollback: bool, supports_snapshots: bool) -> Option<String> {
    let current = stack.members.get(&member.logical_id).map(|m| &m.physical_id);
    let is_replaced = current.is_some_and(|id| *id != member.physical_id);
    match is_replaced {
        true if member.is_new => None,
        true => member.update_replace_policy.clone(),
        false => match member.deletion_policy.as_deref() {
            Some("RetainExceptOnCreate") if in_rollback && member.is_new => None,
            Some("RetainExceptOnCreate") => Some("Retain".to_owned()),
            None if supports_snapshots => Some("Snapshot".to_owned()),
            _ => member.deletion_policy.clone(),
        },
    }
}

/// Tells a status of a resource that may be a member of the stack, or garbage of it.
fn told(work: &Work, member: &mut Member, status: &str, reason: Option<String>) -> anyhow::Result<()> {
    member.status = status.to_owned();
    member.reason = reason;
    member.updated = stack::now();
    let stack = work.edit(|stack| {
        match stack
            .members
            .get_mut(&member.logical_id)
            .filter(|m| m.physical_id == member.physical_id)
        {
            Some(kept) => {
                kept.status.clone_from(&member.status);
                kept.reason.clone_from(&member.reason);
                kept.updated.clone_from(&member.updated);
            }
            None if matches!(status, "DELETE_COMPLETE" | "DELETE_SKIPPED") => {
                stack
                    .garbage
                    .retain(|g| g.physical_id != member.physical_id || g.logical_id != member.logical_id);
            }
            None => {}
        }
        stack.clone()
    })?;
    stack.tell(&work.cx, Some(member))
}
