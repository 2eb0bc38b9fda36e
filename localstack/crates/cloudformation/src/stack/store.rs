//! Reading and writing of stacks.

use anyhow::anyhow;
use time::{Duration, OffsetDateTime};

use super::{Stack, event};
use endpoint_core::{AwsError, Context};

const STACKS: &str = "cloudformation.stacks";
const NAMES: &str = "cloudformation.names";

/// Stores a new stack and its name.
///
/// # Errors
/// When the state cannot be written.
pub fn insert(cx: &Context, stack: &Stack) -> anyhow::Result<()> {
    cx.store().transaction(|| {
        cx.store().put(STACKS, &stack.id, stack)?;
        cx.store().put(NAMES, &stack.name, &stack.id)
    })
}

/// Changes a stack. No other function does, so that concurrent changes are not lost.
///
/// # Errors
/// When the stack does not exist, or the state cannot be read or written.
pub fn edit<T>(cx: &Context, id: &str, change: impl FnOnce(&mut Stack) -> T) -> anyhow::Result<T> {
    cx.store().transaction(|| {
        let stack: Option<Stack> = cx.store().get(STACKS, id)?;
        let mut stack = stack.ok_or_else(|| anyhow!("the stack {id} no longer exists"))?;
        let result = change(&mut stack);
        cx.store().put(STACKS, id, &stack)?;
        if stack.is_deleted() {
            release_name(cx, &stack)?;
        }
        Ok(result)
    })
}

/// Deletes a stack and its events without a trace, as when the last change set of a stack in review is deleted.
///
/// # Errors
/// When the state cannot be written.
pub fn delete(cx: &Context, stack: &Stack) -> anyhow::Result<()> {
    cx.store().transaction(|| {
        cx.store().delete(STACKS, &stack.id)?;
        event::delete_all(cx, &stack.id)?;
        release_name(cx, stack)
    })
}

fn release_name(cx: &Context, stack: &Stack) -> anyhow::Result<()> {
    if cx.store().get::<String>(NAMES, &stack.name)?.as_deref() == Some(stack.id.as_str()) {
        cx.store().delete(NAMES, &stack.name)?;
    }
    Ok(())
}

/// Deletes the stacks that were deleted 90 days ago or earlier, as `ListStacks` forgets them on AWS (API reference, `ListStacks`).
///
/// # Errors
/// When the state cannot be read or written.
pub fn forget_deleted(cx: &Context) -> anyhow::Result<()> {
    let limit = super::format(OffsetDateTime::now_utc() - Duration::days(90));
    for stack in all(cx)? {
        if stack.is_deleted() && stack.deleted.as_ref().is_none_or(|deleted| *deleted < limit) {
            delete(cx, &stack)?;
        }
    }
    Ok(())
}

/// Returns a stack by its name, or by its id, which also finds deleted stacks.
///
/// # Errors
/// When the state cannot be read.
pub fn find(cx: &Context, name_or_id: &str) -> anyhow::Result<Option<Stack>> {
    if name_or_id.starts_with("arn:") {
        return cx.store().get(STACKS, name_or_id);
    }
    let id: Option<String> = cx.store().get(NAMES, name_or_id)?;
    let stack: Option<Stack> = id.map_or(Ok(None), |id| cx.store().get(STACKS, &id))?;
    // The deletion may end between the two reads.
    Ok(stack.filter(|stack| !stack.is_deleted()))
}

/// Returns a stack by its name or id.
///
/// # Errors
/// `ValidationError` if it does not exist.
pub fn existing(cx: &Context, name_or_id: &str) -> Result<Stack, AwsError> {
    let missing = || AwsError::validation(format!("Stack with id {name_or_id} does not exist"));
    find(cx, name_or_id)?.ok_or_else(missing)
}

/// Returns the names of the stacks that are not deleted, sorted.
///
/// # Errors
/// When the state cannot be read.
pub fn names(cx: &Context) -> anyhow::Result<Vec<String>> {
    let names = cx.store().list::<String>(NAMES)?;
    Ok(names.into_iter().map(|(name, _)| name).collect())
}

/// Returns every stack, newest first, with the deleted ones.
///
/// # Errors
/// When the state cannot be read.
pub fn all(cx: &Context) -> anyhow::Result<Vec<Stack>> {
    let mut stacks: Vec<Stack> = cx.store().list(STACKS)?.into_iter().map(|(_, stack)| stack).collect();
    stacks.sort_by(|a, b| b.created.cmp(&a.created));
    Ok(stacks)
}
