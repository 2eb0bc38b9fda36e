//! Brings a stack into a state from which it can be changed, whatever an earlier run left behind.

use std::time::Duration;

use super::history::Past;
use super::patience::Patience;
use super::stack::{self, Existing};
use super::watch::Watch;
use super::{delete, watch};
use crate::error::{Error, Result};
use crate::target::Aws;
use ui::{Event, Ui};

/// Waits for an operation that is still running, removes what a failed first creation left (never a stack that has been
/// whole, whatever its state), and gives the stack as it
/// is then: `None` when it is to be created.
pub async fn settle(
    aws: &Aws,
    ui: &Ui,
    name: &str,
    known: Option<Existing>,
    limit: Duration,
) -> Result<Option<Existing>> {
    let mut current = known;
    loop {
        let Some(existing) = current else { return Ok(None) };
        if existing.is_complete() {
            return Ok(Some(existing));
        }
        if existing.is_busy() {
            ui.emit(Event::StackWaiting {
                stack: name.to_owned(),
                on: format!("an operation in {}", existing.status),
            });
            rest(aws, ui, &existing, limit).await?;
        } else if existing.is_leftover() {
            // Some endpoints end a failed *update* in this state: what has been whole is updated again, never deleted.
            match Past::look(aws, &existing).await?.0 {
                Past::Never => {}
                Past::Unknown if stack::resources(aws, &existing.id).await?.is_empty() => {}
                _ if existing.status == "ROLLBACK_COMPLETE" => return Ok(Some(existing)),
                _ => {
                    return Err(Error::Stuck {
                        stack: name.to_owned(),
                        status: existing.status,
                        reason: existing.reason,
                    });
                }
            }
            if existing.status != "REVIEW_IN_PROGRESS" {
                ui.info(format!(
                    "{name}: removing what an earlier, failed creation left ({})",
                    existing.status
                ));
            }
            delete::delete(aws, ui, &existing, limit).await?;
        } else {
            return Err(Error::Stuck {
                stack: name.to_owned(),
                status: existing.status,
                reason: existing.reason,
            });
        }
        current = stack::find(aws, name).await?;
    }
}

/// Waits until the stack's status is final.
async fn rest(aws: &Aws, ui: &Ui, existing: &Existing, limit: Duration) -> Result<()> {
    let wait = aws.wait(limit);
    let mut patience = Patience::new(aws.clock);
    loop {
        let looked = stack::find(aws, &existing.id).await;
        let last = match patience.bear(ui, looked)? {
            Some(found) if found.as_ref().is_none_or(|now| watch::is_final(&now.status)) => return Ok(()),
            found => found.flatten().map(|now| now.status),
        };
        wait.within(|| format!("the running operation on stack {}", existing.name), || last)?;
        wait.pause().await;
    }
}

/// Follows an operation that somebody else started, and gives the status in which it ended.
pub async fn follow(aws: &Aws, ui: &Ui, existing: &Existing, limit: Duration) -> Result<String> {
    let mut watch = Watch::begin(aws, &existing.id, &existing.name).await?;
    match stack::find(aws, &existing.id).await? {
        Some(now) if !watch::is_final(&now.status) => watch.until_ended(aws, ui, limit).await,
        Some(now) => Ok(now.status),
        None => Ok("DELETE_COMPLETE".into()),
    }
}
