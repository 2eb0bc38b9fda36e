//! The end of an operation that was started before.

use std::time::Duration;

use aws::Session;
use aws::cloudformation::{Stack, StackOperation};
use ui::Ui;

use super::{Result, report};

/// Waits for the operation on a stack that is in progress, and returns the stack's status.
///
/// # Errors
/// A request fails, or the timeout has passed.
pub async fn wait_for_operation(aws: &Session, ui: &Ui, stack: &Stack, timeout: Duration) -> Result<String> {
    let mut operation = StackOperation::attach(aws, stack, timeout).await?;
    loop {
        let progress = operation.poll().await?;
        report::stack_events(ui, &stack.name, &progress.events);
        if let Some(status) = progress.status {
            return Ok(status);
        }
    }
}
