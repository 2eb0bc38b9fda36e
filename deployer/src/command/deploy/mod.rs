//! Brings every stack of a plan to what its template says: in parallel, each after those it depends on.

pub mod images;
pub mod interrupt;
pub mod leaving;
pub mod resolve;
pub mod stack;

#[cfg(test)]
mod stories;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cloudformation::Existing;
use crate::error::{Error, Result};
use crate::estimate::Durations;
use crate::stacks::Plan;
use crate::target::Aws;
use images::Pipeline;
use leaving::Place;
use ui::Ui;

/// What became of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Unchanged,
    Created,
    Updated,
    /// Not begun: something before it failed, or the run was interrupted.
    Skipped,
}

/// One run of `up`.
pub struct Deployment {
    pub aws: Aws,
    pub ui: Ui,
    pub plan: Arc<Plan>,
    pub images: Pipeline,
    /// How long one operation on a stack may take.
    pub limit: Duration,
    /// What is known of how long things take.
    pub durations: Arc<Durations>,
    /// Cancelled when no further stack is to be begun.
    pub stop: CancellationToken,
    /// What may be removed or replaced although it holds data: that has been asked.
    pub agreed: BTreeSet<Place>,
    existing: RwLock<BTreeMap<String, Existing>>,
    running: Mutex<HashMap<String, Running>>,
}

/// An operation that CloudFormation is working on for this run.
#[derive(Debug, Clone)]
pub struct Running {
    pub id: String,
    pub creates: bool,
}

impl Deployment {
    pub fn new(
        aws: Aws,
        ui: Ui,
        plan: Arc<Plan>,
        images: Pipeline,
        existing: BTreeMap<String, Existing>,
        limit: Duration,
        durations: Arc<Durations>,
    ) -> Self {
        let (existing, running) = (RwLock::new(existing), Mutex::default());
        Self {
            aws,
            ui,
            plan,
            images,
            limit,
            durations,
            stop: CancellationToken::new(),
            agreed: BTreeSet::new(),
            existing,
            running,
        }
    }

    /// The same, with what need not be asked again.
    pub fn agreed(self, agreed: BTreeSet<Place>) -> Self {
        Self { agreed, ..self }
    }

    pub fn existing(&self, name: &str) -> Option<Existing> {
        self.existing
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    pub fn remember(&self, stack: Existing) {
        self.existing
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(stack.name.clone(), stack);
    }

    pub fn running(&self) -> std::sync::MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Applies all stacks, and gives what became of each. Operations that run when one fails are waited for; the error
    /// is the first one's.
    pub async fn run(self: Arc<Self>) -> Result<BTreeMap<String, Outcome>> {
        let mut ends: HashMap<String, watch::Receiver<Option<bool>>> = HashMap::new();
        let mut senders = HashMap::new();
        for stack in &self.plan.stacks {
            let (sender, receiver) = watch::channel(None);
            ends.insert(stack.name.clone(), receiver);
            senders.insert(stack.name.clone(), sender);
        }
        let mut tasks = JoinSet::new();
        // The cluster of brokers takes longest by far: nothing may come before it.
        let mut order: Vec<usize> = (0..self.plan.stacks.len()).collect();
        order.sort_by_key(|index| self.plan.stacks[*index].short_name != "messaging");
        for index in order {
            let deployment = self.clone();
            let name = self.plan.stacks[index].name.clone();
            let needs: Vec<_> = self.plan.stacks[index]
                .depends_on
                .iter()
                .filter_map(|d| ends.get(d).cloned())
                .collect();
            let Some(sender) = senders.remove(&name) else { continue };
            tasks.spawn(async move {
                let result = if all_good(needs).await && !deployment.stop.is_cancelled() {
                    stack::bring(&deployment, index).await
                } else {
                    Ok(Outcome::Skipped)
                };
                deployment.running().remove(&name);
                sender.send_replace(Some(matches!(
                    result,
                    Ok(Outcome::Unchanged | Outcome::Created | Outcome::Updated)
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
                // Several stacks wait for the same images: what they miss is told once.
                Err(Error::Shared(_)) if failures.iter().any(|known| matches!(known, Error::Shared(_))) => {}
                // Each of them was refused for the same cause.
                Err(Error::Expired { .. }) if failures.iter().any(|known| matches!(known, Error::Expired { .. })) => {}
                Err(error) => failures.push(error),
            }
        }
        match foremost(failures) {
            None => Ok(outcomes),
            Some(error) => {
                let skipped: Vec<&str> = outcomes
                    .iter()
                    .filter(|(_, o)| **o == Outcome::Skipped)
                    .map(|(name, _)| name.as_str())
                    .collect();
                if !skipped.is_empty() {
                    self.ui.info(format!("not begun: {}", skipped.join(", ")));
                }
                let done: Vec<&str> = outcomes
                    .iter()
                    .filter(|(_, o)| matches!(o, Outcome::Created | Outcome::Updated))
                    .map(|(name, _)| name.as_str())
                    .collect();
                if !done.is_empty() {
                    self.ui.info(format!("stays as deployed: {}", done.join(", ")));
                }
                Err(error)
            }
        }
    }
}

/// The failure that came first, with the others behind it: they may be its consequences.
fn foremost(mut failures: Vec<Error>) -> Option<Error> {
    let at = |error: &Error| match error {
        Error::Failed(failure) => failure.at,
        _ => f64::MAX,
    };
    failures.sort_by(|a, b| at(a).total_cmp(&at(b)));
    let mut failures = failures.into_iter();
    let first = failures.next()?;
    let others: Vec<Error> = failures.collect();
    Some(if others.is_empty() {
        first
    } else {
        Error::Several {
            first: Box::new(first),
            others,
        }
    })
}

async fn all_good(needs: Vec<watch::Receiver<Option<bool>>>) -> bool {
    for mut need in needs {
        match need.wait_for(Option::is_some).await.map(|end| *end) {
            Ok(Some(true)) => {}
            _ => return false,
        }
    }
    true
}
