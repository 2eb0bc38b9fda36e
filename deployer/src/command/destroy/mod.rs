//! `deployer destroy`: deletes everything that `up` created.

pub mod delete;
mod embedded_endpoint;
mod plan;
mod protection;
pub mod render;
mod report;

#[cfg(test)]
mod tests;

use std::time::Duration;

use aws::cloudformation::{self, RetainedResource};
use aws::endpoint::Probe;
use aws::lock::Lock;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::deploy::interrupt::Interrupts;
use crate::context::Session;
use crate::error::Result;
use crate::operations;
use crate::orphans::retained::by_deletion_policy;
use crate::orphans::{self, Scope};
pub use delete::DeleteContext;
pub use plan::{DestroyPlan, removed_stacks};
use platform::stacks::Plan;
use ui::RunOutcome;

const UNCHANGED: &str = "nothing was deleted";

/// Delete every stack of the environment, after showing what is deleted and asking.
///
/// Images, log groups, network interfaces and parameters that belong to the stacks are deleted as well. What is retained is listed
/// with the command that deletes it: final snapshots, resources that templates retain, secrets and keys pending deletion. The
/// embedded endpoint is stopped when it has no other stack, and its state is removed unless it contains snapshots. In a `protected`
/// environment its full name must be typed or passed with --confirm; --yes is not sufficient.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:
  deployer destroy --dry-run                                what would be deleted
  deployer destroy                                          asks first
  deployer destroy --yes --keep-endpoint
  deployer destroy --removed                                stacks that are no longer in the manifest
  deployer destroy --env prod --target aws --disable-protection --confirm patient-management-prod

Exit codes: 0 deleted, or nothing to do; 1 error, or not confirmed; 3 credentials or permission; 5 a deletion failed;
6 timed out; 130 interrupted.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct Args {
    /// Show the plan, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// The full name of a protected environment (`project-env`), instead of typing it.
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Disable termination and deletion protection, once the environment's name is confirmed.
    #[arg(long, alias = "lift-protection")]
    disable_protection: bool,
    /// Retain a resource whose deletion has failed. If it failed in the rollback of a creation, the deletion is tried once more.
    #[arg(long, value_name = "[STACK/]LOGICAL_ID")]
    retain: Vec<String>,
    /// Delete only stacks that are no longer in deployer.toml, such as those of removed or renamed services.
    #[arg(long, alias = "gone", conflicts_with = "retain")]
    removed: bool,
    /// Leave the embedded endpoint running.
    #[arg(long)]
    keep_endpoint: bool,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let ui = &session.ui;
    let plan = session.plan()?;
    let Some(aws) = connect(session).await? else {
        return embedded_endpoint::remove_stopped(session, args.dry_run).await;
    };
    let deletion = inspect(session, &aws, &plan, &args).await?;
    show(session, &deletion, &args);
    if args.dry_run {
        return Ok(());
    }
    let (mut skipped, mut retained) = (Vec::new(), Vec::new());
    if !deletion.is_empty() {
        let confirmation =
            protection::required_confirmation(&deletion, args.disable_protection, args.confirm.as_deref())?;
        confirmation.ask(ui, UNCHANGED).await?;
        let lock = Lock::acquire(&aws, &plan.project, &plan.environment, operations::lock_report(ui)).await?;
        let aws = operations::tolerating_outages(&aws, ui);
        let result = delete_everything(session, &aws, &plan, &deletion, args.removed).await;
        lock.release().await;
        skipped = result?;
        ui.summarize(RunOutcome::Deleted);
        retained = if args.removed {
            skipped.iter().map(|one| by_deletion_policy(&aws, one)).collect()
        } else {
            report::report_remaining(session, &aws, &plan, &deletion, &skipped).await
        };
    }
    let stop = !args.keep_endpoint && !args.removed;
    let stopped = stop && embedded_endpoint::stop_if_unused(session, &aws, !skipped.is_empty()).await?;
    let deleted: Vec<&str> = deletion.stacks.iter().map(|one| one.stack.as_str()).collect();
    let value = json!({ "deleted": deleted, "retained": retained, "endpoint_stopped": stopped });
    ui.data("destroy", value, "");
    Ok(())
}

/// Connects to the target; returns `None` where the embedded endpoint does not run.
async fn connect(session: &Session) -> Result<Option<aws::Session>> {
    if !session.is_local() {
        return Ok(Some(session.connect().await?));
    }
    match session.probe().await? {
        Probe::Nothing(_) if session.common.endpoint_url.is_none() => Ok(None),
        probe => Ok(Some(session.connect_to(probe).await?)),
    }
}

/// Reads what would be deleted; changes nothing.
async fn inspect(session: &Session, aws: &aws::Session, plan: &Plan, args: &Args) -> Result<DestroyPlan> {
    // Whether an imitation of AWS takes final snapshots is not known.
    let snapshots = !aws.endpoint().is_foreign();
    let endpoint = session.endpoint_name();
    if args.removed {
        let existing = cloudformation::list_stacks(aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
        return DestroyPlan::of_removed_stacks(aws, plan, &existing, endpoint, snapshots).await;
    }
    DestroyPlan::of_environment(aws, plan, endpoint, snapshots, &args.retain).await
}

/// Shows the plan: as the result of a dry run, otherwise as a message before the question.
fn show(session: &Session, deletion: &DestroyPlan, args: &Args) {
    let ui = &session.ui;
    if !deletion.is_empty() {
        let text = render::plan(deletion);
        if ui.is_json() || args.dry_run {
            ui.data("destroy_plan", json!(deletion), &text);
        } else {
            ui.info(text);
        }
    } else if args.removed {
        ui.info(format!(
            "nothing to do: every stack of {} is in the manifest",
            deletion.name
        ));
    } else {
        ui.info(format!("nothing to do: {} has no stacks", deletion.name));
    }
}

/// Disables protections, deletes the stacks, then the orphaned resources. Returns the resources that CloudFormation retained.
async fn delete_everything(
    session: &Session,
    aws: &aws::Session,
    plan: &Plan,
    deletion: &DestroyPlan,
    stacks_only: bool,
) -> Result<Vec<RetainedResource>> {
    let minutes = if session.is_local() { 10 } else { 90 };
    let context = DeleteContext {
        aws: aws.clone(),
        ui: session.ui.clone(),
        timeout: Duration::from_secs(60 * minutes),
        stop: CancellationToken::new(),
    };
    let hint = "CloudFormation continues the deletions that it has started; `deployer destroy` deletes the rest";
    let animation = session.ui.animate();
    let deleted = delete::delete_interruptibly(&context, deletion, &mut Interrupts::new()?, hint).await;
    drop(animation);
    let skipped = deleted?;
    if !stacks_only {
        let scope = Scope::new(plan, deletion.templates());
        for orphan in orphans::deletable(aws, &scope).await.found {
            orphans::delete(aws, &orphan).await?;
            session.ui.info(format!("deleted {orphan}"));
        }
    }
    Ok(skipped)
}
