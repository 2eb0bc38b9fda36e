//! `deployer up`: deploys what deployer.toml declares, and waits until it is reachable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aws::cloudformation;
use aws::ecs::{self, EcsServices};
use aws::lock::{Lease, Lock};
use serde_json::json;

use super::curl;
use super::deploy::image_pipeline::ImagePipeline;
use super::deploy::interrupt::{self, Interrupts};
use super::deploy::removals::{PlannedRemovals, ResourceRef, deployed_templates};
use super::deploy::{Deployment, StackOutcome, announce};
use super::hotswap;
use crate::capabilities::check_backing;
use crate::context::Session;
use crate::error::{Error, Result};
use crate::estimate::{Durations, History, measure};
use crate::operations;
use crate::orphans;
use crate::preflight::{preflight, service_linked_roles};
use platform::lint;
use platform::manifest::Manifest;
use platform::stacks::{self, Plan};
use ui::RunOutcome;

/// Deploy or update the platform, wait until it is reachable, and print its URL.
///
/// Stacks without changes are not touched. A service whose tasks started before the value of one of its secrets changed gets new
/// tasks. Only the final output is written to stdout.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  deployer up                                  to this machine; starts the embedded endpoint if no endpoint is running
  deployer up --target aws --env prod --profile ops
  deployer up --code patient-service           only its new code, in the time of a rollout
  deployer up --yes --json > events.ndjson     in CI

Exit codes: 0 reachable, or nothing to do; 1 error, or not confirmed; 3 credentials or permission; 4 failed and rolled back;
5 a stack is stuck, see `deployer unstick`; 6 timed out, nothing was cancelled; 130 interrupted.")]
pub struct Args {
    /// Only replace the code of running services (hotswap): takes seconds and bypasses CloudFormation. Rejected if more than code
    /// changed. The next full `up` updates the stacks.
    #[arg(long)]
    code: bool,
    /// With --code: only these services [default: all].
    #[arg(value_name = "SERVICE", requires = "code")]
    services: Vec<String>,
    /// Time limit of each stack, and of the wait until the system is reachable [default: 15 and 3 on localstack, 90 and 15 on AWS;
    /// with --code, of the rollout: 5 on localstack, 20 on AWS; the minutes of a rollout in steps are added].
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    timeout: Option<u64>,
    /// End when the stacks are complete, without waiting until the system is reachable: for an endpoint that runs no tasks.
    #[arg(long, conflicts_with = "code")]
    stacks_only: bool,
}

pub async fn run(args: Args, session: &Session) -> Result<()> {
    let manifest = session.load()?;
    let timeouts = Timeouts::new(&args, session.is_local(), &manifest);
    if args.code {
        return hotswap::run(session, &args.services, timeouts.rollout).await;
    }
    let plan = linted_plan(&manifest)?;
    let mut interrupts = Interrupts::new()?;
    let aws = super::bind(session.connect_or_start().await?, &plan).await?;
    let plan = Arc::new(super::adapted_plan(session, &aws, plan).await?);
    let lock = Lock::acquire(
        &aws,
        &plan.project,
        &plan.environment,
        operations::lock_report(&session.ui),
    )
    .await?;
    let mut up = Up {
        session,
        aws,
        manifest,
        plan,
        timeouts,
    };
    let result = up.apply(lock.lease(), &mut interrupts).await;
    lock.release().await;
    up.print(&result?);
    Ok(())
}

/// The retention in days of logs that services write, in an environment without services.
const DEFAULT_RETENTION: u32 = 30;

/// Time limits.
#[derive(Clone, Copy)]
struct Timeouts {
    stack: Duration,
    /// `None` if the command does not wait until the system is reachable.
    reachable: Option<Duration>,
    /// Of `--code`.
    rollout: Duration,
}

impl Timeouts {
    fn new(args: &Args, local: bool, manifest: &Manifest) -> Self {
        let minutes = |on_localstack: u64, on_aws: u64| {
            let default = if local { on_localstack } else { on_aws };
            Duration::from_secs(args.timeout.unwrap_or(default) * 60)
        };
        let steps = manifest.services.iter().map(|service| service.rollout.minutes()).max();
        let steps = Duration::from_secs(u64::from(steps.unwrap_or(0)) * 60);
        let with_steps = |timeout| {
            if args.timeout.is_some() {
                timeout
            } else {
                timeout + steps
            }
        };
        Self {
            stack: with_steps(minutes(15, 90)),
            reachable: (!args.stacks_only).then(|| minutes(3, 15)),
            rollout: with_steps(minutes(5, 20)),
        }
    }
}

fn linted_plan(manifest: &Manifest) -> Result<Plan> {
    let plan = stacks::plan(manifest);
    let findings = lint::check(manifest, &plan);
    if findings.is_empty() {
        Ok(plan)
    } else {
        Err(Error::Lint(findings))
    }
}

/// One run, with the lock held.
struct Up<'a> {
    session: &'a Session,
    aws: aws::Session,
    manifest: Manifest,
    plan: Arc<Plan>,
    timeouts: Timeouts,
}

/// The state before the first change.
struct State {
    /// The stacks that exist, without those that are removed first.
    existing: BTreeMap<String, cloudformation::Stack>,
    removals: PlannedRemovals,
    confirmed_losses: BTreeSet<ResourceRef>,
}

/// The result of a run.
struct Applied {
    /// `None` if the command does not wait until the system is reachable.
    url: Option<String>,
    changed: usize,
    /// Services whose tasks had an older value of a secret.
    restarted: Vec<String>,
}

impl Up<'_> {
    async fn apply(&mut self, lease: Lease, interrupts: &mut Interrupts) -> Result<Applied> {
        let state = tokio::select! {
            state = self.inspect() => state?,
            () = interrupts.next() => return Err(Error::Interrupted { hint: "nothing was changed".into() }),
        };
        let durations = Arc::new(Durations {
            history: History::load(&self.session.endpoint_name()),
            on_aws: !self.session.is_local(),
        });
        tokio::select! {
            () = service_linked_roles::ensure(&self.aws, &self.session.ui, &self.plan) => {}
            () = interrupts.next() => return Err(Error::Interrupted { hint: "no stack was changed".into() }),
        }
        // Nothing is in progress before.
        self.aws = operations::tolerating_outages(&self.aws, &self.session.ui);
        announce::announce(self.session, &self.plan, &state.existing, &durations);
        let animation = self.session.ui.animate();
        let images = ImagePipeline::start(self.session.ui.clone(), self.aws.clone(), self.plan.images.clone());
        let State {
            existing,
            removals,
            confirmed_losses,
        } = state;
        removals
            .delete_stacks(&self.aws, self.session, lease.clone(), self.timeouts.stack, interrupts)
            .await?;
        let deployment = Deployment::new(
            self.aws.clone(),
            self.session.ui.clone(),
            self.plan.clone(),
            images,
            existing,
            self.timeouts.stack,
            durations,
        );
        let outcomes = self
            .deploy(
                deployment.with_confirmed_losses(confirmed_losses).with_lease(lease),
                interrupts,
            )
            .await?;
        self.record_durations(&outcomes).await;
        let days = self
            .manifest
            .services
            .iter()
            .map(|service| service.log_retention_days)
            .max();
        orphans::set_retention(
            &self.aws,
            &self.session.ui,
            &self.plan,
            days.unwrap_or(DEFAULT_RETENTION),
        )
        .await;
        hotswap::reconcile(self.session, &self.aws, &self.plan).await?;
        let restarted = self.restart_outdated(interrupts).await?;
        let url = self.wait_until_reachable(interrupts).await?;
        drop(animation);
        let changed = outcomes.values().filter(|outcome| outcome.is_change()).count();
        Ok(Applied {
            url,
            changed,
            restarted,
        })
    }

    /// Reads the deployed state, runs the preflight checks, and asks for confirmation of removals; changes nothing.
    async fn inspect(&self) -> Result<State> {
        let Self {
            session,
            aws,
            manifest,
            plan,
            ..
        } = self;
        let mut existing = cloudformation::list_stacks(aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
        self.require_services(&existing).await?;
        let templates = deployed_templates(aws, plan, &existing).await?;
        preflight(session, aws, manifest, plan, &existing, &templates).await?;
        let removals = PlannedRemovals::inspect(session, aws, plan, &existing, &templates).await?;
        let confirmed_losses = removals.confirm(session).await?;
        existing.retain(|name, _| !removals.contains(name));
        Ok(State {
            existing,
            removals,
            confirmed_losses,
        })
    }

    /// Requires that ECS has the services of all complete stacks. An update of a stack does not create a service that was deleted
    /// outside CloudFormation, and without the service the system never becomes reachable.
    async fn require_services(&self, existing: &BTreeMap<String, cloudformation::Stack>) -> Result<()> {
        let Self { aws, plan, .. } = self;
        // Where no task runs, no service is needed.
        if aws.endpoint().is_foreign() || self.timeouts.reachable.is_none() {
            return Ok(());
        }
        let deleted = match EcsServices::find(aws, plan).await?.deleted(aws).await {
            // The cluster was deleted, too: its stack says so in the update.
            Err(ecs::Error::Request(error)) if error.is_not_found() => Vec::new(),
            deleted => deleted?,
        };
        let is_complete = |name: &String| existing.get(name).is_some_and(cloudformation::Stack::is_complete);
        let stacks = plan.stacks.iter().filter(|stack| deleted.contains(&stack.short_name));
        let (services, stacks): (Vec<_>, Vec<_>) = stacks
            .map(|stack| (stack.short_name.clone(), stack.name.clone()))
            .filter(|(_, name)| is_complete(name))
            .unzip();
        if services.is_empty() {
            Ok(())
        } else {
            Err(Error::DeletedServices { services, stacks })
        }
    }

    /// Deploys the stacks. The first interrupt offers a rollback, the second one ends the command.
    async fn deploy(
        &self,
        deployment: Deployment,
        interrupts: &mut Interrupts,
    ) -> Result<BTreeMap<String, StackOutcome>> {
        let deployment = Arc::new(deployment);
        let mut work = tokio::spawn(deployment.clone().run());
        let mut interrupted = false;
        let outcomes = loop {
            tokio::select! {
                joined = &mut work => break joined.map_err(anyhow::Error::from)?,
                () = interrupts.next() => {
                    if interrupted {
                        return Err(interrupt::detached());
                    }
                    interrupted = true;
                    tokio::spawn(interrupt::on_first_interrupt(deployment.clone()));
                }
            }
        };
        if !interrupted {
            return outcomes;
        }
        if let Err(error) = outcomes {
            self.session.ui.warn(error.to_string());
        }
        Err(Error::Interrupted {
            hint: "`deployer up` continues from here, `deployer destroy` deletes everything".into(),
        })
    }

    /// Stores the measured duration of each resource, for the next estimate.
    async fn record_durations(&self, outcomes: &BTreeMap<String, StackOutcome>) {
        let changed = outcomes.iter().filter(|(_, outcome)| outcome.is_change());
        let measured = changed.map(|(name, _)| async {
            let mut events = cloudformation::stack_events(&self.aws, name).await.unwrap_or_default();
            // Newest first: the events of this operation are those after the stack's own start.
            let start = events.iter().position(|event| {
                event.is_stack && matches!(event.status.as_str(), "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS")
            });
            events.truncate(start.unwrap_or(events.len()));
            events.reverse();
            measure(&events)
        });
        let measured = futures::future::join_all(measured).await.concat();
        History::record(&self.session.endpoint_name(), &measured);
    }

    /// Starts new tasks of the services whose secrets changed, unless the command does not wait for tasks.
    async fn restart_outdated(&self, interrupts: &mut Interrupts) -> Result<Vec<String>> {
        let Self { session, aws, plan, .. } = self;
        if self.timeouts.reachable.is_none() {
            return Ok(Vec::new());
        }
        tokio::select! {
            restarted = operations::restart_outdated(aws, &session.ui, plan, self.timeouts.rollout) => Ok(restarted?),
            () = interrupts.next() => Err(interrupt::detached()),
        }
    }

    /// Waits until the system is reachable, and returns its URL; `None` with `--stacks-only`.
    async fn wait_until_reachable(&self, interrupts: &mut Interrupts) -> Result<Option<String>> {
        let Self { session, aws, plan, .. } = self;
        if aws.endpoint().is_foreign() {
            for warning in check_backing(aws, plan, self.timeouts.reachable.is_none()).await? {
                session.ui.warn(warning);
            }
        }
        let Some(timeout) = self.timeouts.reachable else {
            return Ok(None);
        };
        tokio::select! {
            url = operations::wait_until_ready(aws, &session.ui, plan, timeout) => Ok(Some(url?)),
            () = interrupts.next() => Err(interrupt::detached()),
        }
    }

    /// Prints the URL, and commands that work when they are pasted.
    fn print(&self, applied: &Applied) {
        let ui = &self.session.ui;
        let Applied { changed, restarted, .. } = applied;
        let Some(url) = &applied.url else {
            ui.summarize(RunOutcome::Complete);
            ui.data(
                "up",
                json!({ "url": null, "changed": changed, "restarted": restarted }),
                "",
            );
            return;
        };
        ui.summarize(RunOutcome::Serves);
        let curl = curl::commands(&self.plan.ingress.curl, url, self.aws.endpoint().ca_file.as_deref());
        let text = format!("{url}\n\n{}\n", curl.join("\n"));
        ui.data(
            "up",
            json!({ "url": url, "curl": curl, "changed": changed, "restarted": restarted }),
            &text,
        );
    }
}
