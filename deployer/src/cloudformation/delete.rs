//! Deletes a stack and waits until it is gone.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::Failure;
use super::patience::Patience;
use super::stack::Existing;
use super::watch::{Seen, Watch};
use crate::error::{Error, Result};
use crate::target::Aws;
use ui::{Event, Sentiment, Ui};

/// A resource that stays although its stack is gone, because its template or a person wanted so.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Kept {
    pub stack: String,
    /// Logical id.
    pub resource: String,
    pub kind: String,
    pub physical: String,
}

/// Deletes one stack; its failure names each resource that would not go.
pub async fn delete(aws: &Aws, ui: &Ui, existing: &Existing, limit: Duration) -> Result<()> {
    delete_but(aws, ui, existing, &[], limit).await.map(drop)
}

/// Deletes one stack without the resources in `retain`, which CloudFormation takes for one whose deletion has failed
/// (API_DeleteStack, RetainResources); gives what stays.
pub async fn delete_but(
    aws: &Aws,
    ui: &Ui,
    existing: &Existing,
    retain: &[String],
    limit: Duration,
) -> Result<Vec<Kept>> {
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
        .set_retain_resources((!retain.is_empty()).then(|| retain.to_vec()))
        .send()
        .await?;
    let mut patience = Patience::new(aws.clock);
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
            _ => aws.clock.sleep(aws.pace).await,
        }
    };
    if !reviewed_only {
        let seconds = began.elapsed().as_secs_f32();
        ui.emit(Event::StackEnded {
            stack: existing.name.clone(),
            sentiment: Sentiment::of(&status),
            status: status.clone(),
            seconds,
        });
    }
    if status == "DELETE_COMPLETE" {
        // What an earlier attempt, or a replacement, left behind stays as well.
        let all = super::watch::events(aws, &existing.id, &HashSet::new()).await;
        return Ok(kept(&existing.name, &all.unwrap_or(watch.seen)));
    }
    let reason = failures(&watch.seen).or_else(|| Failure::new(&existing.name, &status, &watch.seen, None).reason);
    Err(Error::Stuck {
        stack: existing.name.clone(),
        status,
        reason,
    })
}

/// What the events of a stack say was left alone, each once.
fn kept(stack: &str, events: &[Seen]) -> Vec<Kept> {
    let mut found: Vec<Kept> = Vec::new();
    for event in events
        .iter()
        .filter(|event| event.status == "DELETE_SKIPPED" && !event.is_stack)
    {
        if !found.iter().any(|known| known.physical == event.physical) {
            found.push(Kept {
                stack: stack.to_owned(),
                resource: event.resource.clone(),
                kind: event.kind.clone(),
                physical: event.physical.clone(),
            });
        }
    }
    found
}

/// Each resource that could not be deleted, with why.
fn failures(events: &[Seen]) -> Option<String> {
    let mut told: Vec<String> = Vec::new();
    for event in events
        .iter()
        .filter(|event| !event.is_stack && event.status == "DELETE_FAILED")
    {
        let why = event.reason.as_deref().unwrap_or("no reason is given");
        let line = format!("{} ({}): {why}", event.resource, event.kind);
        if !told.contains(&line) {
            told.push(line);
        }
    }
    (!told.is_empty()).then(|| told.join("; "))
}
