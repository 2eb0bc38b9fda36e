//! `deployer destroy`: takes away everything that `up` made.

pub mod delete;
mod endpoint;
mod plan;
pub mod render;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::consent;
use super::deploy::interrupt::Interrupts;
use crate::cloudformation::delete::Kept;
use crate::cloudformation::holdings::Fate;
use crate::cloudformation::{protection, stack};
use crate::error::{Error, Result};
use crate::leftovers::remains::{self, Remain};
use crate::leftovers::{self, Scope};
use crate::lock::Lock;
use crate::stacks::Plan;
use crate::target::{Aws, Session, embedded};
pub use delete::Job;
pub use plan::{Demise, gone};
use ui::RunOutcome;

/// Delete every stack of the environment, after showing what is lost and asking.
///
/// Images, log groups, network interfaces and parameters that hang on the stacks go as well; what stays is listed with what
/// deletes it: final snapshots, what templates retain, secrets and keys that wait for their end. The embedded endpoint is
/// stopped when no stack is left in it, and its state removed unless there are snapshots in it. Where the environment is
/// `protected`, its full name must be typed (or given with --confirm): --yes is not enough.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:
  deployer destroy --dry-run                                what would go, and what is lost
  deployer destroy                                          asks first
  deployer destroy --yes --keep-endpoint
  deployer destroy --gone                                   only what the manifest no longer has
  deployer destroy --env prod --target aws --lift-protection --confirm patient-management-prod

Exit codes: 0 deleted, or nothing was there; 1 error, or refused; 3 credentials or permission; 5 a deletion failed;
6 timed out; 130 interrupted.")]
pub struct Args {
    /// Show the plan, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// The environment's full name (`project-env`), for scripts that delete a protected one.
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Lift termination and deletion protection, once the environment's name is confirmed.
    #[arg(long)]
    lift_protection: bool,
    /// Leave a resource behind whose deletion has failed; where that was in the rollback of a creation, it is tried once more.
    #[arg(long, value_name = "[STACK/]LOGICAL_ID")]
    retain: Vec<String>,
    /// Only the stacks that deployer.toml no longer has, such as those of services that were renamed or removed.
    #[arg(long, conflicts_with = "retain")]
    gone: bool,
    /// Leave the embedded endpoint running.
    #[arg(long)]
    keep_endpoint: bool,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let ui = &session.ui;
    let plan = session.plan()?;
    let aws = match session.is_local() {
        true => match embedded::probe(session).await? {
            embedded::Answer::Nothing(_) if session.common.endpoint_url.is_none() => {
                return endpoint::nothing_listens(session, args.dry_run).await;
            }
            answer => session.connect_to(answer).await?,
        },
        false => session.connect().await?,
    };
    // Of imitations it is not known.
    let snapshots = !aws.endpoint.is_foreign();
    let demise = match args.gone {
        true => {
            let found = stack::all(&aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
            Demise::gone(&aws, &plan, &found, session.place(), snapshots).await?
        }
        false => Demise::look(&aws, &plan, session.place(), snapshots, &args.retain).await?,
    };
    if demise.is_empty() && args.gone {
        ui.info(format!(
            "nothing to do: the manifest has every stack of {}",
            demise.name
        ));
    } else if demise.is_empty() {
        ui.info(format!("nothing to do: {} has no stacks", demise.name));
    } else {
        show(session, &demise, args.dry_run);
    }
    if args.dry_run {
        return Ok(());
    }
    let (mut stays, mut remains) = (Vec::new(), Vec::new());
    if !demise.is_empty() {
        agree(session, &args, &demise).await?;
        let lock = Lock::take(&aws, ui, &plan.project, &plan.environment).await?;
        let animation = ui.animate();
        let result = carry_out(session, &aws, &demise).await;
        drop(animation);
        let swept = match &result {
            Ok(_) if args.gone => Ok(()),
            Ok(_) => sweep(session, &aws, &plan, &demise).await,
            Err(_) => Ok(()),
        };
        lock.release(ui).await;
        stays = result?;
        swept?;
        ui.summarize(RunOutcome::Deleted);
        if !args.gone {
            remains = tell_leftovers(session, &aws, &plan, &demise, &stays).await;
        }
    }
    let stopped = !args.keep_endpoint && !args.gone && endpoint::end(session, &aws, !stays.is_empty()).await?;
    let deleted: Vec<&str> = demise.stacks.iter().map(|one| one.stack.as_str()).collect();
    ui.data(
        "destroy",
        json!({ "deleted": deleted, "stays": stays, "remains": remains, "endpoint_stopped": stopped }),
        "",
    );
    Ok(())
}

/// The plan is what a dry run gives, and what goes before the question otherwise.
fn show(session: &Session, demise: &Demise, dry_run: bool) {
    let text = render::text(demise);
    if session.ui.is_json() || dry_run {
        session.ui.data("destroy_plan", json!(demise), &text);
    } else {
        session.ui.info(text);
    }
}

/// What it takes before anything is deleted.
#[derive(Debug, PartialEq, Eq)]
enum Gate {
    /// A yes.
    Ask,
    /// The environment's name, typed.
    Type,
    /// More than an answer: the reason.
    Refused(String),
}

impl Gate {
    fn of(demise: &Demise, lift: bool) -> Self {
        let protections: Vec<String> = demise.protections().map(|one| format!("\n  {one}")).collect();
        let by_hand: Vec<String> = demise
            .protections()
            .filter_map(protection::Protection::by_hand)
            .collect();
        if protections.is_empty() {
            return if demise.protected { Self::Type } else { Self::Ask };
        }
        let list = protections.concat();
        if !by_hand.is_empty() {
            let how = by_hand.join(", ");
            return Self::Refused(format!(
                "nothing was deleted, because some of it is protected:{list}\nwhat was set by hand is lifted by hand: {how}; the rest goes with --lift-protection"
            ));
        }
        if !lift {
            return Self::Refused(format!(
                "nothing was deleted, because some of it is protected:{list}\n`deployer destroy --lift-protection` lifts that, once {} is typed",
                demise.name
            ));
        }
        Self::Type
    }
}

async fn agree(session: &Session, args: &Args, demise: &Demise) -> Result<()> {
    const KEPT: &str = "nothing was deleted";
    match Gate::of(demise, args.lift_protection) {
        Gate::Refused(why) => Err(Error::Declined(why)),
        Gate::Ask => consent::asked(&session.ui, "Delete all this?", KEPT).await,
        Gate::Type => {
            let confirm = args.confirm.as_deref();
            consent::typed(&session.ui, &demise.name, "delete all this", confirm, KEPT).await
        }
    }
}

/// Lifts every protection, then deletes every stack. A first Ctrl-C begins nothing further, a second one leaves.
async fn carry_out(session: &Session, aws: &Aws, demise: &Demise) -> Result<Vec<Kept>> {
    let job = Job {
        aws: aws.clone(),
        ui: session.ui.clone(),
        limit: Duration::from_secs(60 * if session.is_local() { 10 } else { 90 }),
        stop: CancellationToken::new(),
    };
    let hint = "what CloudFormation has begun to delete goes on; `deployer destroy` deletes the rest";
    delete::watched(&job, demise, &mut Interrupts::new()?, hint).await
}

/// Takes away what hangs on the stacks and is in none of them.
async fn sweep(session: &Session, aws: &Aws, plan: &Plan, demise: &Demise) -> Result<()> {
    let scope = Scope::new(plan, demise.stacks.iter().filter_map(|one| one.template.as_ref()));
    for one in leftovers::sweepable(aws, &scope).await.found {
        leftovers::sweep(aws, &one).await?;
        session.ui.info(format!("deleted {one}"));
    }
    Ok(())
}

/// Says what is still there, on purpose or not; gives the former.
async fn tell_leftovers(session: &Session, aws: &Aws, plan: &Plan, demise: &Demise, stays: &[Kept]) -> Vec<Remain> {
    let ui = &session.ui;
    let scope = Scope::new(plan, demise.stacks.iter().filter_map(|one| one.template.as_ref()));
    let (mut remains, dark) = remaining(aws, plan, demise, &scope).await;
    remains.splice(0..0, stays.iter().map(|one| remains::kept(aws, one)));
    let mut purpose: Vec<String> = remains.iter().map(ToString::to_string).collect();
    if dark.iter().any(|one| one.starts_with(SNAPSHOTS)) {
        // They are there by the plan, although nobody could be asked for their names.
        let holds = demise.stacks.iter().flat_map(|one| &one.holds);
        let promised = holds.filter(|one| one.fate == Fate::Snapshot);
        purpose.extend(promised.map(|one| format!("the final snapshot of {} ({})", one.what, one.physical)));
    }
    if !purpose.is_empty() {
        ui.info(format!("left on purpose:\n  {}", purpose.join("\n  ")));
    }
    let seen = leftovers::look(aws, &scope).await;
    let known = |one: &&leftovers::Leftover| !stays.iter().any(|kept| kept.physical == one.name);
    let left: Vec<String> = seen.found.iter().filter(known).map(ToString::to_string).collect();
    if !left.is_empty() {
        ui.warn(format!("still there:\n  {}", left.join("\n  ")));
    }
    let unseen: Vec<String> = seen.unseen.into_iter().chain(dark).collect();
    if !unseen.is_empty() {
        ui.info(format!(
            "not looked at, because the endpoint did not answer: {}",
            unseen.join(", ")
        ));
    }
    remains
}

const SNAPSHOTS: &str = "final snapshots";

/// What outlives its stacks by design, and what could not be asked for.
async fn remaining(aws: &Aws, plan: &Plan, demise: &Demise, scope: &Scope) -> (Vec<Remain>, Vec<String>) {
    let planned = plan.stacks.iter().map(|stack| stack.name.clone());
    let stacks: BTreeSet<String> = planned
        .chain(demise.stacks.iter().map(|one| one.stack.clone()))
        .collect();
    let stacks: Vec<String> = stacks.into_iter().collect();
    let of_stacks = demise.stacks.iter().flat_map(|one| &one.list);
    let keys: Vec<String> = of_stacks
        .filter(|one| one.kind == "AWS::KMS::Key" && !one.physical.is_empty())
        .map(|one| one.physical.clone())
        .collect();
    let (snapshots, secrets, keys) = tokio::join!(
        remains::snapshots(aws, &stacks),
        remains::secrets(aws, scope),
        remains::keys(aws, &keys)
    );
    let (mut found, mut dark) = (Vec::new(), Vec::new());
    for (what, one) in [
        (SNAPSHOTS, snapshots),
        ("deleted secrets", secrets),
        ("deleted keys", keys),
    ] {
        match one {
            Ok(remains) => found.extend(remains),
            Err(error) => dark.push(format!("{what} ({error})")),
        }
    }
    (found, dark)
}
