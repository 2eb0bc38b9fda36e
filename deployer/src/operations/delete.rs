//! The deletion of a stack.

use std::time::Duration;

use aws::Session;
use aws::cloudformation::{RetainedResource, Stack, StackOperation, stack_resources};
use ui::{Event, Sentiment, Ui};

use super::{Result, report};

/// Deletes a stack without the resources in `retain`, which only a stack whose deletion has failed accepts; returns the resources
/// that still exist.
///
/// # Errors
/// The deletion fails; the error names each resource that could not be deleted.
pub async fn delete(
    aws: &Session,
    ui: &Ui,
    stack: &Stack,
    retain: &[String],
    timeout: Duration,
) -> Result<Vec<RetainedResource>> {
    // A stack that was only reviewed is empty: its deletion is not worth mentioning.
    let shown = stack.status != "REVIEW_IN_PROGRESS";
    if shown {
        ui.emit(Event::Stack {
            stack: stack.name.clone(),
            action: "delete",
            resources: stack_resources(aws, &stack.id).await?.len(),
            expected_seconds: None,
        });
    }
    let mut operation = StackOperation::delete(aws, stack, retain, timeout).await?;
    let status = loop {
        let progress = operation.poll().await?;
        report::stack_events(ui, &stack.name, &progress.events);
        if let Some(status) = progress.status {
            break status;
        }
    };
    if shown {
        ui.emit(Event::StackEnded {
            stack: stack.name.clone(),
            sentiment: Sentiment::of(&status),
            status: status.clone(),
            seconds: operation.elapsed().as_secs_f32(),
        });
    }
    Ok(operation.retained(&status).await?)
}
