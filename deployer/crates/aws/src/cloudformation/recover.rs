//! The next step towards a stack that can be updated or created, whatever an earlier run left.

use std::time::Duration;

use super::error::{Error, Result};
use super::history::EverCompleted;
use super::stack::{self, Stack};
use super::status::is_final;
use crate::session::Session;

/// The next step for a stack.
#[derive(Debug, Clone)]
pub enum NextStep {
    /// It does not exist.
    Create,
    /// Create a change set for the existing stack.
    Update(Stack),
    /// Wait for its operation in progress, then look again.
    Wait(Stack),
    /// Delete what a failed first creation left, then look again. Never a stack that was ever complete.
    DeleteFailedCreate(Stack),
}

/// Returns the next step for a stack; `None` is a stack that does not exist.
///
/// # Errors
/// A request fails, or the stack is stuck.
pub async fn next_step(aws: &Session, stack: Option<Stack>) -> Result<NextStep> {
    let Some(stack) = stack else {
        return Ok(NextStep::Create);
    };
    if stack.is_complete() {
        return Ok(NextStep::Update(stack));
    }
    if stack.is_in_progress() {
        return Ok(NextStep::Wait(stack));
    }
    // A deletion that failed after a failed creation is continued.
    if stack.is_failed_create() || stack.status == "DELETE_FAILED" {
        // Some endpoints end a failed *update* in this status: a stack that was complete is updated again, never deleted.
        match EverCompleted::inspect(aws, &stack).await?.0 {
            EverCompleted::No => return Ok(NextStep::DeleteFailedCreate(stack)),
            EverCompleted::Unknown if stack::stack_resources(aws, &stack.id).await?.is_empty() => {
                return Ok(NextStep::DeleteFailedCreate(stack));
            }
            _ if stack.status == "ROLLBACK_COMPLETE" => return Ok(NextStep::Update(stack)),
            _ => {}
        }
    }
    Err(Error::Stuck {
        stack: stack.name,
        status: stack.status,
        reason: stack.reason,
    })
}

/// Waits until no operation on a stack is in progress.
///
/// # Errors
/// A request fails, or the timeout has passed.
pub async fn wait_until_final(aws: &Session, stack: &Stack, timeout: Duration) -> Result<()> {
    let wait = aws.wait(timeout);
    loop {
        let last = match stack::find_stack(aws, &stack.id).await? {
            None => return Ok(()),
            Some(now) if is_final(&now.status) => return Ok(()),
            Some(now) => now.status,
        };
        wait.check(
            || format!("the running operation on stack {}", stack.name),
            || Some(last),
        )?;
        wait.pause().await;
    }
}
