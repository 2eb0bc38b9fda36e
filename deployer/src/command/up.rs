//! `deployer up`: everything that deployer.toml declares, until it serves.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::code;
use super::curl;
use super::deploy::images::Pipeline;
use super::deploy::interrupt::{self, Interrupts};
use super::deploy::leaving::{self, Leaving, Place};
use super::deploy::{Deployment, Outcome};
use crate::cloudformation::{Existing, stack, watch};
use crate::diff::compare;
use crate::ecs::serving;
use crate::error::{Error, Result};
use crate::estimate::{Durations, History, Operation, measure, within};
use crate::lint;
use crate::lock::Lock;
use crate::manifest::Manifest;
use crate::preflight::preflight;
use crate::stacks::{self, Plan, Stack};
use crate::target::capabilities::{fit, hollow};
use crate::target::{Aws, Session};
use ui::{Event, PlannedStack, RunOutcome};

/// Deploy the platform, or bring it up to date; ends when it serves, and prints its URL.
///
/// Stacks without changes are not touched. Only what is printed last goes to stdout.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer up                                  everything, here: starts the embedded endpoint where nothing answers
  deployer up --target aws --env prod --profile ops
  deployer up --code patient-service           its new code alone, in the time that a rollout takes
  deployer up --yes --json > events.ndjson     in CI

Exit codes: 0 it serves, or there was nothing to do; 1 error; 3 credentials or permission; 4 failed and rolled back;
5 a stack is stuck, see `deployer unstick`; 6 timed out, nothing was cancelled; 130 interrupted.")]
pub struct Args {
    /// Only swap the code of running services (hotswap): seconds, past CloudFormation. Refused when more than code changed;
    /// the next full `up` brings the stacks up to date.
    #[arg(long)]
    code: bool,
    /// With --code: only these services; all unless given.
    #[arg(value_name = "SERVICE", requires = "code")]
    services: Vec<String>,
    /// How long one stack may take, and the system to serve after the last one, in minutes; 15 and 3 on localstack, 90 and
    /// 15 on AWS unless given. With --code, how long the rollout may take: 5 on localstack, 20 on AWS.
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    timeout: Option<u64>,
    /// End when the stacks are complete, without waiting until the system serves: for an endpoint that runs no tasks.
    #[arg(long, conflicts_with = "code")]
    stacks_only: bool,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    if args.code {
        let minutes = args.timeout.unwrap_or(if session.is_local() { 5 } else { 20 });
        return code::run(session, &args.services, Duration::from_secs(minutes * 60)).await;
    }
    let manifest = session.load()?;
    let plan = stacks::plan(&manifest);
    let broken = lint::check(&manifest, &plan);
    if let Some(first) = broken.first() {
        return Err(Error::Plan(format!(
            "the templates break {} rules, the first: {first}",
            broken.len()
        )));
    }
    let mut interrupts = Interrupts::new()?;
    let aws = session.connect_or_start().await?;
    let plan = Arc::new(fit(&aws, &session.ui, plan).await?);
    let lock = Lock::take(&aws, &session.ui, &plan.project, &plan.environment).await?;
    let limits = Limits::of(&args, session.is_local());
    let result = apply_all(session, &aws, &manifest, &plan, limits, &mut interrupts).await;
    lock.release(&session.ui).await;
    let (url, outcomes) = result?;
    let changed = outcomes
        .iter()
        .filter(|outcome| **outcome != Outcome::Unchanged)
        .count();
    let Some(url) = url else {
        session.ui.summarize(RunOutcome::Complete);
        session.ui.data("up", json!({ "url": null, "changed": changed }), "");
        return Ok(());
    };
    session.ui.summarize(RunOutcome::Serves);
    let curl = curl::lines(&plan.ingress.curl, &url, aws.endpoint.vouching.as_deref());
    let text = format!("{url}\n\n{}\n", curl.join("\n"));
    session
        .ui
        .data("up", json!({ "url": url, "curl": curl, "changed": changed }), &text);
    Ok(())
}

/// How long what may take.
#[derive(Clone, Copy)]
struct Limits {
    stack: Duration,
    /// None when nobody waits for it.
    serving: Option<Duration>,
}

impl Limits {
    fn of(args: &Args, local: bool) -> Self {
        let minutes = |unless_given: u64| Duration::from_secs(args.timeout.unwrap_or(unless_given) * 60);
        Self {
            stack: minutes(if local { 15 } else { 90 }),
            serving: (!args.stacks_only).then(|| minutes(if local { 3 } else { 15 })),
        }
    }
}

async fn apply_all(
    session: &Session,
    aws: &Aws,
    manifest: &Manifest,
    plan: &Arc<Plan>,
    limits: Limits,
    interrupts: &mut Interrupts,
) -> Result<(Option<String>, Vec<Outcome>)> {
    let ui = &session.ui;
    let (existing, leaving, agreed) = tokio::select! {
        looked = look(session, aws, manifest, plan) => looked?,
        () = interrupts.next() => {
            let hint = "nothing was begun".to_owned();
            return Err(Error::Interrupted { hint });
        }
    };
    let durations = Arc::new(Durations {
        history: History::load(&session.place()),
        on_aws: !session.is_local(),
    });
    announce(session, plan, &existing, &durations);
    let animation = ui.animate();
    let images = Pipeline::start(ui.clone(), aws.clone(), plan.images.clone());
    leaving.delete(aws, session, limits.stack, interrupts).await?;
    let deployment = Deployment::new(
        aws.clone(),
        ui.clone(),
        plan.clone(),
        images,
        existing,
        limits.stack,
        durations,
    );
    let deployment = Arc::new(deployment.agreed(agreed));
    let mut work = tokio::spawn(deployment.clone().run());
    let mut interrupted = false;
    let outcomes = loop {
        tokio::select! {
            joined = &mut work => break joined.map_err(anyhow::Error::from)?,
            () = interrupts.next() => {
                if interrupted {
                    return Err(interrupt::left_running());
                }
                interrupted = true;
                tokio::spawn(interrupt::first(deployment.clone()));
            }
        }
    };
    if interrupted {
        if let Err(error) = outcomes {
            ui.warn(error.to_string());
        }
        return Err(Error::Interrupted {
            hint: "`deployer up` goes on from here, `deployer destroy` takes everything away".into(),
        });
    }
    let outcomes = outcomes?;
    remember_durations(session, aws, &outcomes).await;
    code::reconcile(session, aws, plan).await?;
    let outcomes = outcomes.into_values().collect();
    if aws.endpoint.is_foreign() {
        hollow::verify(aws, ui, plan, limits.serving.is_none()).await?;
    }
    let Some(wait) = limits.serving else {
        return Ok((None, outcomes));
    };
    let url = tokio::select! {
        url = serving::wait(aws, ui, plan, wait) => url?,
        () = interrupts.next() => return Err(interrupt::left_running()),
    };
    drop(animation);
    Ok((Some(url), outcomes))
}

/// What there is, what goes of it, and what of that need not be asked again; nothing is changed.
async fn look(
    session: &Session,
    aws: &Aws,
    manifest: &Manifest,
    plan: &Plan,
) -> Result<(BTreeMap<String, Existing>, Leaving, BTreeSet<Place>)> {
    let mut existing = stack::all(aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
    let templates = leaving::templates(aws, plan, &existing).await?;
    preflight(session, aws, manifest, plan, &existing, &templates).await?;
    let leaving = Leaving::look(session, aws, plan, &existing, &templates).await?;
    let agreed = leaving.agree(session).await?;
    existing.retain(|name, _| !leaving.has(name));
    Ok((existing, leaving, agreed))
}

/// Keeps what each resource took, for the next estimate.
async fn remember_durations(session: &Session, aws: &Aws, outcomes: &BTreeMap<String, Outcome>) {
    let changed = outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Created | Outcome::Updated));
    let measured = changed.map(|(name, _)| async move {
        let mut events = watch::events(aws, name, &HashSet::new()).await.unwrap_or_default();
        // Newest first: this operation's events are those down to the stack's own beginning.
        let begun = events.iter().position(|event| {
            event.is_stack && matches!(event.status.as_str(), "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS")
        });
        events.truncate(begun.unwrap_or(events.len()));
        events.reverse();
        measure(&events)
    });
    let measured = futures::future::join_all(measured).await.concat();
    History::record(&session.place(), &measured);
}

/// Says what will be done, before anything is, and what is known of how long it takes.
fn announce(session: &Session, plan: &Plan, existing: &BTreeMap<String, Existing>, durations: &Arc<Durations>) {
    let known = durations.clone();
    session.ui.set_estimator(Arc::new(move |kind, action| {
        let operation = match action {
            "create" => Operation::Create,
            "update" => Operation::Update,
            "delete" => Operation::Delete,
            _ => return None,
        };
        known.expected(kind, operation).map(|expected| expected.seconds)
    }));
    // What an existing stack takes is known once it has been compared with what is deployed.
    let expected = |stack: &Stack| {
        let alone = within(stack, &compare(None, &stack.template), durations).seconds;
        (alone >= 1.0).then_some(alone.round() as u32)
    };
    let exists = |name: &str| existing.get(name).is_some_and(|found| !found.is_leftover());
    let stacks = plan.stacks.iter().map(|stack| PlannedStack {
        stack: stack.name.clone(),
        short_name: stack.short_name.clone(),
        exists: exists(&stack.name),
        depends_on: stack.depends_on.clone(),
        expected_seconds: expected(stack).filter(|_| !exists(&stack.name)),
    });
    // another project's may begin with the same words
    let ours = |stack: &Existing| stack.tags.get("project").is_none_or(|project| *project == plan.project);
    let left = existing.iter().filter(|(name, stack)| !plan.has(name) && ours(stack));
    session.ui.emit(Event::Plan {
        project: plan.project.clone(),
        environment: plan.environment.clone(),
        endpoint: session.endpoint_url().unwrap_or_else(|| "AWS".into()),
        stacks: stacks.collect(),
        orphaned_stacks: left.map(|(name, _)| name.clone()).collect(),
    });
}
