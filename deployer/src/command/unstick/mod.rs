//! `deployer unstick`: repairs a stack that can neither be updated nor rolled back.

mod diagnosis;
mod remedy;

#[cfg(test)]
mod tests;

use std::time::Duration;

use aws::cloudformation;
use aws::lock::Lock;
use serde_json::json;

use super::confirm::Confirmation;
use crate::context::Session;
use crate::error::{ArgumentError, Error, Result};
use crate::operations;
use diagnosis::StackDiagnosis;
use platform::stacks::Plan;
use remedy::Remedy;
use ui::Ui;

/// The time limit of the repair.
const TIMEOUT: Duration = Duration::from_hours(1);
const UNCHANGED: &str = "nothing was changed";

/// Explain why a stack is stuck and, after confirmation, repair it.
///
/// Without a stack, lists every stuck stack of the environment. A stack that was complete at any time, by its events and not by its
/// status, is deleted only after its full name is typed or passed with --confirm.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:
  deployer unstick                       lists stuck stacks
  deployer unstick data --dry-run
  deployer unstick auth-service --skip Service

Exit codes: 0 repaired, nothing to do, or --dry-run; 1 error, or not confirmed; 3 credentials or permission; 5 still stuck;
6 timed out.")]
pub struct Args {
    /// The stack (its short or full name) [default: list all stuck stacks].
    stack: Option<String>,
    /// Skip a resource in the continued rollback.
    #[arg(long, value_name = "LOGICAL_ID", requires = "stack")]
    skip: Vec<String>,
    /// Retain a resource that could not be deleted.
    #[arg(long, value_name = "LOGICAL_ID", requires = "stack")]
    retain: Vec<String>,
    /// Delete a stack whose rollback failed, instead of continuing the rollback.
    #[arg(long, requires = "stack")]
    delete: bool,
    /// The full name of a stack that was complete, instead of typing it.
    #[arg(long, value_name = "NAME", requires = "stack")]
    confirm: Option<String>,
    /// Explain, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let plan = session.plan()?;
    let aws = super::bind(session.connect().await?, &plan).await?;
    let snapshots = !aws.endpoint().is_foreign();
    let Some(name) = &args.stack else {
        return list(session, &aws, &plan, snapshots).await;
    };
    let name = super::stack_named(&plan, name).map_or_else(|_| name.clone(), |stack| stack.name.clone());
    let Some(existing) = cloudformation::find_stack(&aws, &name).await? else {
        return Err(ArgumentError::NoSuchStack { name }.into());
    };
    let diagnosis = StackDiagnosis::inspect(&aws, &existing, snapshots, args.delete).await?;
    let ui = &session.ui;
    ui.data("unstick", json!(diagnosis), &diagnosis.text());
    check(&args, &existing, &diagnosis)?;
    if args.dry_run || matches!(diagnosis.remedy, Remedy::Nothing | Remedy::Wait | Remedy::ByHand) {
        return Ok(());
    }
    required_confirmation(&args, &diagnosis).ask(ui, UNCHANGED).await?;
    let lock = Lock::acquire(&aws, &plan.project, &plan.environment, operations::lock_report(ui)).await?;
    let aws = operations::tolerating_outages(&aws, ui);
    let animation = ui.animate();
    let result = repair(ui, &aws, &args, &existing, &diagnosis).await;
    drop(animation);
    lock.release().await;
    result
}

/// Lists every stuck stack of the environment.
async fn list(session: &Session, aws: &aws::Session, plan: &Plan, snapshots: bool) -> Result<()> {
    let prefix = format!("{}-{}", plan.project, plan.environment);
    let existing = cloudformation::list_stacks(aws, &format!("{prefix}-")).await?;
    let diagnosed = existing
        .values()
        .map(|found| StackDiagnosis::inspect(aws, found, snapshots, false));
    let mut found = futures::future::try_join_all(diagnosed).await?;
    found.retain(StackDiagnosis::is_stuck);
    let text = if found.is_empty() {
        format!("no stack of {prefix} is stuck\n")
    } else {
        let texts: Vec<String> = found.iter().map(StackDiagnosis::text).collect();
        format!(
            "{}\n`deployer unstick STACK` repairs it, after a confirmation\n",
            texts.join("\n")
        )
    };
    session.ui.data("unstick", json!({ "stuck": found }), &text);
    Ok(())
}

/// Rejects options that do not apply, and the deletion of a protected stack.
fn check(args: &Args, existing: &cloudformation::Stack, diagnosis: &StackDiagnosis) -> Result<()> {
    if !args.skip.is_empty() && diagnosis.remedy != Remedy::Continue {
        let (stack, status) = (existing.name.clone(), existing.status.clone());
        return Err(ArgumentError::NothingToSkip { stack, status }.into());
    }
    if let Some(other) = args.retain.iter().find(|id| !diagnosis.not_deleted.contains(id)) {
        let (resource, status) = (other.clone(), None);
        return Err(ArgumentError::NothingToRetain { resource, status }.into());
    }
    if existing.protected && matches!(diagnosis.remedy, Remedy::Delete { .. }) {
        Err(Error::TerminationProtection {
            stack: existing.name.clone(),
        })
    } else {
        Ok(())
    }
}

/// Returns the confirmation that the remedy needs.
fn required_confirmation<'a>(args: &'a Args, diagnosis: &'a StackDiagnosis) -> Confirmation<'a> {
    let question = match diagnosis.remedy {
        Remedy::Delete { typed: true } => {
            return Confirmation::TypedName {
                name: &diagnosis.stack,
                action: "delete it",
                confirm: args.confirm.as_deref(),
            };
        }
        Remedy::Delete { typed: false } => "Delete it?",
        Remedy::Cancel => "Cancel the update?",
        Remedy::RollBack => "Roll it back?",
        _ => "Continue the rollback?",
    };
    Confirmation::Yes { question }
}

async fn repair(
    ui: &Ui,
    aws: &aws::Session,
    args: &Args,
    existing: &cloudformation::Stack,
    diagnosis: &StackDiagnosis,
) -> Result<()> {
    let (id, remedy) = (existing.id.as_str(), diagnosis.remedy);
    let started = match remedy {
        Remedy::Delete { .. } => {
            operations::disable_protections(aws, ui, &diagnosis.protections).await?;
            for one in operations::delete(aws, ui, existing, &args.retain, TIMEOUT).await? {
                let (resource_type, physical_id) = (one.resource_type, one.physical_id);
                ui.info(format!("retained: {resource_type} {physical_id} ({})", one.logical_id));
            }
            return Ok(());
        }
        Remedy::Cancel => cloudformation::cancel_update(aws, id).await.map(drop),
        Remedy::RollBack => cloudformation::rollback_stack(aws, id).await,
        _ => cloudformation::continue_update_rollback(aws, id, &args.skip).await,
    };
    match started {
        Err(error) if error.is_unsupported() => {
            return Err(Error::RemedyUnsupported {
                alternative: remedy.alternative(),
                source: error,
            });
        }
        started => started?,
    }
    let status = operations::wait_for_operation(aws, ui, existing, TIMEOUT).await?;
    if matches!(
        status.as_str(),
        "UPDATE_ROLLBACK_COMPLETE" | "UPDATE_COMPLETE" | "ROLLBACK_COMPLETE"
    ) {
        ui.info(format!("{}: {status}", existing.name));
        return Ok(());
    }
    let reason = cloudformation::find_stack(aws, id).await?.and_then(|now| now.reason);
    let stack = existing.name.clone();
    Err(cloudformation::Error::Stuck { stack, status, reason }.into())
}
