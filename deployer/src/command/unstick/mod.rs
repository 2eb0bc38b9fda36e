//! `deployer unstick`: a stack that neither goes forward nor back.

mod finding;
mod remedy;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::json;

use super::consent;
use crate::cloudformation::{Existing, delete, settle, stack};
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::stacks::Plan;
use crate::target::{Aws, Session};
use finding::Finding;
use remedy::Remedy;
use ui::Ui;

/// How long the remedy may take.
const LIMIT: Duration = Duration::from_secs(3600);
const KEPT: &str = "nothing was done";

/// Say why a stack is stuck and what can be done; after asking, do it.
///
/// Without a stack: every stack of the environment that is stuck. A stack that has ever been complete, by its history and not by
/// its state, is deleted only after its full name is typed (or given with --confirm).
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:
  deployer unstick                       what is stuck, in words; asks before it acts
  deployer unstick data --dry-run
  deployer unstick auth-service --skip Service

Exit codes: 0 no stack is stuck any more, or --dry-run; 1 error, or refused; 3 credentials or permission; 5 still stuck;
6 timed out.")]
pub struct Args {
    /// The stack (its short or full name); all that are stuck unless given.
    stack: Option<String>,
    /// A resource that the rollback is to leave as it is.
    #[arg(long, value_name = "LOGICAL_ID", requires = "stack")]
    skip: Vec<String>,
    /// A resource that the deletion is to leave behind, because it could not be deleted.
    #[arg(long, value_name = "LOGICAL_ID", requires = "stack")]
    retain: Vec<String>,
    /// Delete a stack whose rollback failed instead of continuing it: for endpoints that cannot, and as the last way out.
    #[arg(long, requires = "stack")]
    delete: bool,
    /// The stack's full name, for scripts that delete one that has been complete.
    #[arg(long, value_name = "NAME", requires = "stack")]
    confirm: Option<String>,
    /// Explain, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let aws = session.connect().await?;
    let snapshots = !aws.endpoint.is_foreign();
    let Some(given) = &args.stack else {
        return list(session, &aws, &plan, snapshots).await;
    };
    let name = super::stack_named(&plan, given).map_or_else(|_| given.clone(), |stack| stack.name.clone());
    let Some(existing) = stack::find(&aws, &name).await? else {
        return Err(Error::Usage(format!("there is no stack {name}")));
    };
    let finding = Finding::look(&aws, &existing, snapshots, args.delete).await?;
    let ui = &session.ui;
    ui.data("unstick", json!(finding), &finding.text());
    check(&args, &existing, &finding)?;
    if args.dry_run || matches!(finding.remedy, Remedy::Nothing | Remedy::Wait | Remedy::ByHand) {
        return Ok(());
    }
    agree(ui, &args, &finding).await?;
    let lock = Lock::take(&aws, ui, &plan.project, &plan.environment).await?;
    let animation = ui.animate();
    let result = act(ui, &aws, &args, &existing, finding.remedy).await;
    drop(animation);
    lock.release(ui).await;
    result
}

/// Every stack of the environment that needs somebody.
async fn list(session: &Session, aws: &Aws, plan: &Plan, snapshots: bool) -> Result<()> {
    let prefix = format!("{}-{}", plan.project, plan.environment);
    let existing = stack::all(aws, &format!("{prefix}-")).await?;
    let looked = existing
        .values()
        .map(|found| Finding::look(aws, found, snapshots, false));
    let mut found = futures::future::try_join_all(looked).await?;
    found.retain(Finding::is_stuck);
    let text = if found.is_empty() {
        format!("nothing is stuck in {prefix}\n")
    } else {
        let texts: Vec<String> = found.iter().map(Finding::text).collect();
        format!("{}\n`deployer unstick STACK` does it, after asking\n", texts.join("\n"))
    };
    session.ui.data("unstick", json!({ "stuck": found }), &text);
    Ok(())
}

/// Refuses options that do not fit, and what is protected.
fn check(args: &Args, existing: &Existing, finding: &Finding) -> Result<()> {
    let status = &existing.status;
    if !args.skip.is_empty() && finding.remedy != Remedy::Continue {
        return Err(Error::Usage(format!(
            "--skip is for a rollback that is continued, and {} is in {status}",
            existing.name
        )));
    }
    if let Some(other) = args.retain.iter().find(|id| !finding.not_deleted.contains(id)) {
        return Err(Error::Usage(format!(
            "--retain {other}: the deletion of no such resource of {} has failed",
            existing.name
        )));
    }
    if existing.protected && matches!(finding.remedy, Remedy::Delete { .. }) {
        return Err(Error::Declined(format!(
            "{} has termination protection; `aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name {}` lifts it",
            existing.name, existing.name
        )));
    }
    Ok(())
}

async fn agree(ui: &Ui, args: &Args, finding: &Finding) -> Result<()> {
    let question = match finding.remedy {
        Remedy::Delete { typed: true } => {
            let confirm = args.confirm.as_deref();
            return consent::typed(ui, &finding.stack, "delete it", confirm, KEPT).await;
        }
        Remedy::Delete { typed: false } => "Delete it?",
        Remedy::Cancel => "Cancel the update?",
        Remedy::RollBack => "Roll it back?",
        _ => "Continue the rollback?",
    };
    consent::asked(ui, question, KEPT).await
}

async fn act(ui: &Ui, aws: &Aws, args: &Args, existing: &Existing, remedy: Remedy) -> Result<()> {
    let id = existing.id.as_str();
    let begun = match remedy {
        Remedy::Delete { .. } => {
            return delete::delete_but(aws, ui, existing, &args.retain, LIMIT)
                .await
                .map(|kept| {
                    for one in kept {
                        ui.info(format!("left behind: {} {} ({})", one.kind, one.physical, one.resource));
                    }
                });
        }
        Remedy::Cancel => {
            let request = aws.cloudformation.cancel_update_stack().stack_name(id);
            request.send().await.map(drop).map_err(Error::from)
        }
        Remedy::RollBack => {
            let request = aws.cloudformation.rollback_stack().stack_name(id);
            request.send().await.map(drop).map_err(Error::from)
        }
        _ => {
            let skip = (!args.skip.is_empty()).then(|| args.skip.clone());
            let request = aws
                .cloudformation
                .continue_update_rollback()
                .stack_name(id)
                .set_resources_to_skip(skip);
            request.send().await.map(drop).map_err(Error::from)
        }
    };
    match begun {
        Err(error) if error.is_unsupported() => {
            return Err(Error::Other(anyhow::anyhow!(
                "this endpoint cannot do that ({error}); {}",
                remedy.instead()
            )));
        }
        begun => begun?,
    }
    let status = settle::follow(aws, ui, existing, LIMIT).await?;
    if matches!(
        status.as_str(),
        "UPDATE_ROLLBACK_COMPLETE" | "UPDATE_COMPLETE" | "ROLLBACK_COMPLETE"
    ) {
        ui.info(format!("{}: {status}", existing.name));
        return Ok(());
    }
    let reason = stack::find(aws, id).await?.and_then(|now| now.reason);
    Err(Error::Stuck {
        stack: existing.name.clone(),
        status,
        reason,
    })
}
