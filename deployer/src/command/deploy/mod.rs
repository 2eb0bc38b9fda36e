//! The deployment of every stack of a plan: in parallel, each after the stacks that it depends on.

pub mod announce;
pub mod image_pipeline;
pub mod interrupt;
pub mod parameters;
pub mod removals;
pub mod stack;
mod zones;

#[cfg(test)]
mod first_creation;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::estimate::Durations;
use crate::operations;
use aws::cloudformation;
use aws::lock::{Lease, LockError};
use image_pipeline::ImagePipeline;
use platform::stacks::Plan;
use removals::ResourceRef;
use ui::Ui;

/// The result of a stack's deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackOutcome {
    Unchanged,
    Created,
    Updated,
    /// Not started: a dependency failed, or the run was interrupted.
    Skipped,
}

impl StackOutcome {
    /// Returns whether the stack was created or updated.
    pub fn is_change(self) -> bool {
        matches!(self, Self::Created | Self::Updated)
    }
}

/// One run of `up`.
pub struct Deployment {
    pub aws: aws::Session,
    pub ui: Ui,
    pub plan: Arc<Plan>,
    pub images: ImagePipeline,
    /// The time limit of one stack operation.
    pub timeout: Duration,
    pub durations: Arc<Durations>,
    /// Cancelled when no further stack operation is to start.
    pub stop: CancellationToken,
    /// Resources with data whose removal or replacement is already confirmed.
    pub confirmed_losses: BTreeSet<ResourceRef>,
    /// The lock that must be held when an operation starts; `None` in tests.
    lease: Option<Lease>,
    existing: RwLock<BTreeMap<String, cloudformation::Stack>>,
    running: Mutex<HashMap<String, StackOperation>>,
}

/// An operation of this run that CloudFormation works on.
#[derive(Debug, Clone)]
pub struct StackOperation {
    pub id: String,
    pub creates: bool,
}

impl Deployment {
    pub fn new(
        aws: aws::Session,
        ui: Ui,
        plan: Arc<Plan>,
        images: ImagePipeline,
        existing: BTreeMap<String, cloudformation::Stack>,
        timeout: Duration,
        durations: Arc<Durations>,
    ) -> Self {
        let (existing, running) = (RwLock::new(existing), Mutex::default());
        Self {
            aws,
            ui,
            plan,
            images,
            timeout,
            durations,
            stop: CancellationToken::new(),
            confirmed_losses: BTreeSet::new(),
            lease: None,
            existing,
            running,
        }
    }

    /// Sets the resources whose loss is already confirmed.
    pub fn with_confirmed_losses(self, confirmed_losses: BTreeSet<ResourceRef>) -> Self {
        Self {
            confirmed_losses,
            ..self
        }
    }

    /// Sets the lock that must be held when an operation starts.
    pub fn with_lease(self, lease: Lease) -> Self {
        Self {
            lease: Some(lease),
            ..self
        }
    }

    /// Requires that the lock is held.
    ///
    /// # Errors
    /// Another deployment has taken it over; then no further operation starts.
    pub async fn require_lock(&self) -> Result<()> {
        let Some(lease) = &self.lease else { return Ok(()) };
        let held = lease.require().await;
        if held.is_err() {
            self.stop.cancel();
        }
        Ok(held?)
    }

    /// Returns a stack as it was read last.
    pub fn existing(&self, name: &str) -> Option<cloudformation::Stack> {
        self.existing.read().get(name).cloned()
    }

    /// Stores a stack that was read again.
    pub fn update_existing(&self, stack: cloudformation::Stack) {
        self.existing.write().insert(stack.name.clone(), stack);
    }

    pub fn running(&self) -> MutexGuard<'_, HashMap<String, StackOperation>> {
        self.running.lock()
    }

    /// Deploys all stacks; returns the outcome of each.
    ///
    /// # Errors
    /// A stack fails. The operations that run at that time are waited for, and the error that came first is returned.
    pub async fn run(self: Arc<Self>) -> Result<BTreeMap<String, StackOutcome>> {
        let mut ends: HashMap<String, watch::Receiver<Option<bool>>> = HashMap::new();
        let mut senders = HashMap::new();
        for stack in &self.plan.stacks {
            let (sender, receiver) = watch::channel(None);
            ends.insert(stack.name.clone(), receiver);
            senders.insert(stack.name.clone(), sender);
        }
        let mut tasks = JoinSet::new();
        // The Kafka cluster takes by far the longest, so it starts first.
        let mut order: Vec<usize> = (0..self.plan.stacks.len()).collect();
        order.sort_by_key(|index| self.plan.stacks[*index].short_name != "messaging");
        for index in order {
            let deployment = self.clone();
            let name = self.plan.stacks[index].name.clone();
            let dependencies: Vec<_> = self.plan.stacks[index]
                .depends_on
                .iter()
                .filter_map(|d| ends.get(d).cloned())
                .collect();
            let Some(sender) = senders.remove(&name) else { continue };
            tasks.spawn(async move {
                let result = if dependencies_succeeded(dependencies).await && !deployment.stop.is_cancelled() {
                    stack::deploy_stack(&deployment, index).await
                } else {
                    Ok(StackOutcome::Skipped)
                };
                deployment.running().remove(&name);
                sender.send_replace(Some(matches!(
                    result,
                    Ok(StackOutcome::Unchanged | StackOutcome::Created | StackOutcome::Updated)
                )));
                (name, result)
            });
        }
        let mut outcomes = BTreeMap::new();
        let mut failures: Vec<Error> = Vec::new();
        while let Some(joined) = tasks.join_next().await {
            let (name, result) = joined.map_err(anyhow::Error::from)?;
            match result {
                Ok(outcome) => {
                    outcomes.insert(name, outcome);
                }
                // Several stacks wait for the same images, or were rejected for the same credentials: one error is enough.
                Err(Error::Shared(_)) if failures.iter().any(|known| matches!(known, Error::Shared(_))) => {}
                Err(error) if is_expired(&error) && failures.iter().any(is_expired) => {}
                Err(error) if is_lost(&error) && failures.iter().any(is_lost) => {}
                Err(error) => failures.push(error),
            }
        }
        match primary_failure(failures) {
            None => Ok(outcomes),
            Some(error) => {
                self.report(&outcomes);
                Err(error)
            }
        }
    }

    /// Reports which stacks of a failed run were not started, and which are deployed.
    fn report(&self, outcomes: &BTreeMap<String, StackOutcome>) {
        let names = |fits: fn(StackOutcome) -> bool| {
            let names = outcomes.iter().filter(|(_, outcome)| fits(**outcome));
            names.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let skipped = names(|outcome| outcome == StackOutcome::Skipped);
        if !skipped.is_empty() {
            self.ui.info(format!("skipped: {skipped}"));
        }
        let deployed = names(StackOutcome::is_change);
        if !deployed.is_empty() {
            self.ui.info(format!("already deployed: {deployed}"));
        }
    }
}

fn is_expired(error: &Error) -> bool {
    matches!(error, Error::Request(aws::Error::Expired { .. }))
}

fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Lock(LockError::Lost))
}

/// Returns the failure that came first, with the others behind it: they may be its consequences.
fn primary_failure(mut failures: Vec<Error>) -> Option<Error> {
    let at = |error: &Error| match error {
        Error::Operation(operations::Error::Failed { failure, .. }) => failure.at,
        _ => f64::MAX,
    };
    failures.sort_by(|a, b| at(a).total_cmp(&at(b)));
    Error::several(failures)
}

async fn dependencies_succeeded(dependencies: Vec<watch::Receiver<Option<bool>>>) -> bool {
    for mut dependency in dependencies {
        match dependency.wait_for(Option::is_some).await.map(|end| *end) {
            Ok(Some(true)) => {}
            _ => return false,
        }
    }
    true
}
