//! A stack that can be updated or created, whatever an earlier run left.

use std::time::Duration;

use aws::Session;
use aws::cloudformation::{NextStep, Stack, find_stack, next_step, wait_until_final};
use ui::{Event, Ui};

use super::{Result, delete, disable_protections, resource_protections};

/// Waits for an operation in progress and deletes what a failed first creation left, never a stack that was ever complete. Returns
/// the stack to update; `None` if it is to be created.
///
/// # Errors
/// The stack is stuck, a request fails, or the timeout has passed.
pub async fn ensure_updatable(
    aws: &Session,
    ui: &Ui,
    name: &str,
    known: Option<Stack>,
    timeout: Duration,
) -> Result<Option<Stack>> {
    let mut current = known;
    loop {
        match next_step(aws, current).await? {
            NextStep::Create => return Ok(None),
            NextStep::Update(stack) => return Ok(Some(stack)),
            NextStep::Wait(stack) => {
                ui.emit(Event::StackWaiting {
                    stack: name.to_owned(),
                    on: format!("an operation in {}", stack.status),
                });
                wait_until_final(aws, &stack, timeout).await?;
            }
            NextStep::DeleteFailedCreate(stack) => {
                if stack.status != "REVIEW_IN_PROGRESS" {
                    let status = &stack.status;
                    ui.info(format!("{name}: deleting what a failed creation left ({status})"));
                }
                // Nothing of it was ever in use, so its databases are as disposable as the stack.
                let protections = resource_protections(aws, &stack).await?;
                disable_protections(aws, ui, &protections).await?;
                delete(aws, ui, &stack, &[], timeout).await?;
            }
        }
        current = find_stack(aws, name).await?;
    }
}
