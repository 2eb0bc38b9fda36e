//! Deletes a stack and waits until it is gone.

use std::time::{Duration, Instant};

use super::Failure;
use super::patience::Patience;
use super::stack::Existing;
use super::watch::Watch;
use crate::error::{Error, Result};
use crate::target::Aws;
use crate::ui::{Event, Mood, Ui};

/// Deletes one stack; its failure names the first resource that would not go.
pub async fn delete(aws: &Aws, ui: &Ui, existing: &Existing, limit: Duration) -> Result<()> {
    let began = Instant::now();
    let mut watch = Watch::begin(aws, &existing.id, &existing.name).await?;
    let reviewed_only = existing.status == "REVIEW_IN_PROGRESS";
    if !reviewed_only {
        let resources = super::stack::resources(aws, &existing.id).await?.len();
        ui.emit(Event::Stack {
            stack: existing.name.clone(),
            action: "delete",
            resources,
            expected_seconds: None,
        });
    }
    aws.cloudformation
        .delete_stack()
        .stack_name(&existing.id)
        .send()
        .await?;
    let mut patience = Patience::default();
    let status = loop {
        let looked = watch.look(aws, ui).await;
        if let Some(status) = patience.bear(ui, looked)?.flatten() {
            break status;
        }
        // A stack that was only reviewed may vanish without an event.
        let found = super::stack::find(aws, &existing.id).await;
        match patience.bear(ui, found)? {
            Some(None) => break "DELETE_COMPLETE".to_owned(),
            Some(Some(now)) if now.status == "DELETE_COMPLETE" => break now.status,
            found if began.elapsed() > limit => {
                let what = format!("the deletion of stack {}", existing.name);
                return Err(Error::TimedOut {
                    what,
                    seconds: limit.as_secs(),
                    last: found.flatten().map(|now| now.status),
                });
            }
            _ => tokio::time::sleep(aws.pace).await,
        }
    };
    if !reviewed_only {
        let seconds = began.elapsed().as_secs_f32();
        ui.emit(Event::StackEnded {
            stack: existing.name.clone(),
            mood: Mood::of(&status),
            status: status.clone(),
            seconds,
        });
    }
    if status == "DELETE_COMPLETE" {
        return Ok(());
    }
    let failure = Failure::new(&existing.name, &status, &watch.seen, None);
    Err(Error::Stuck {
        stack: existing.name.clone(),
        status,
        reason: failure.reason,
    })
}
