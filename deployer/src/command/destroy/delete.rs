//! Deletes the stacks of a plan: in parallel, each after all that use it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::plan::{Demise, Doomed};
use crate::cloudformation::delete::{self, Kept};
use crate::cloudformation::{protection, settle, stack};
use crate::command::deploy::interrupt::Interrupts;
use crate::error::{Error, Result};
use crate::leftovers;
use crate::target::Aws;
use ui::Ui;

/// What it takes to delete one stack.
#[derive(Clone)]
pub struct Job {
    pub aws: Aws,
    pub ui: Ui,
    /// How long one stack may take.
    pub limit: Duration,
    /// Cancelled when no further stack is to be begun.
    pub stop: CancellationToken,
}

/// Lifts every protection, then deletes them all. A first Ctrl-C begins nothing further, a second one leaves; `hint` says
/// what then goes on.
pub async fn watched(job: &Job, demise: &Demise, interrupts: &mut Interrupts, hint: &str) -> Result<Vec<Kept>> {
    let Job { aws, ui, limit, .. } = job;
    let work = async {
        for one in demise.stacks.iter().filter(|one| !one.protections.is_empty()) {
            protection::lift(aws, ui, &one.existing, &one.protections, one.template.as_ref(), *limit).await?;
        }
        all(job, demise).await
    };
    tokio::pin!(work);
    let interrupted = || Error::Interrupted { hint: hint.to_owned() };
    loop {
        tokio::select! {
            ended = &mut work => {
                return match ended {
                    Ok(_) if job.stop.is_cancelled() => Err(interrupted()),
                    ended => ended,
                };
            }
            () = interrupts.next() => {
                if job.stop.is_cancelled() {
                    return Err(interrupted());
                }
                job.stop.cancel();
                ui.info("interrupted: no further stack is begun; a deletion cannot be cancelled, so what is under way is waited for; Ctrl-C again leaves it running");
            }
        }
    }
}

/// Deletes them all, and gives what stays by its template's or a person's will. The error is the first failure's.
pub async fn all(job: &Job, demise: &Demise) -> Result<Vec<Kept>> {
    let mut senders = HashMap::new();
    let mut ends = HashMap::new();
    for doomed in &demise.stacks {
        let (sender, receiver) = watch::channel(None);
        senders.insert(doomed.stack.clone(), sender);
        ends.insert(doomed.stack.clone(), receiver);
    }
    let mut tasks = JoinSet::new();
    for doomed in &demise.stacks {
        let users: Vec<watch::Receiver<Option<bool>>> =
            doomed.after.iter().filter_map(|user| ends.get(user).cloned()).collect();
        let Some(sender) = senders.remove(&doomed.stack) else {
            continue;
        };
        let (job, doomed) = (job.clone(), Arc::new(doomed.clone()));
        tasks.spawn(async move {
            let mut free = true;
            for mut user in users {
                free &= matches!(user.wait_for(Option::is_some).await.map(|end| *end), Ok(Some(true)));
            }
            let result = if free && !job.stop.is_cancelled() {
                one(&job, &doomed).await.map(Some)
            } else {
                Ok(None)
            };
            sender.send_replace(Some(matches!(result, Ok(Some(_)))));
            (doomed, result)
        });
    }
    let (mut stays, mut failures, mut not_begun) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(joined) = tasks.join_next().await {
        match joined.map_err(anyhow::Error::from)? {
            (_, Ok(Some(kept))) => stays.extend(kept),
            (doomed, Ok(None)) => not_begun.push(doomed.stack.clone()),
            (_, Err(error)) => failures.push(error),
        }
    }
    if !not_begun.is_empty() {
        not_begun.sort();
        job.ui.info(format!("still there, not begun: {}", not_begun.join(", ")));
    }
    let mut failures = failures.into_iter();
    match failures.next() {
        None => Ok(stays),
        Some(first) => {
            let others: Vec<Error> = failures.collect();
            let first = Box::new(first);
            Err(if others.is_empty() {
                *first
            } else {
                Error::Several { first, others }
            })
        }
    }
}

/// Deletes one stack with what would be in the way of that.
async fn one(job: &Job, doomed: &Doomed) -> Result<Vec<Kept>> {
    let Job { aws, ui, limit, .. } = job;
    let mut existing = doomed.existing.clone();
    if existing.is_busy() {
        ui.info(format!(
            "{}: waiting for what is under way ({})",
            existing.name, existing.status
        ));
        let status = settle::follow(aws, ui, &existing, *limit).await?;
        match stack::find(aws, &existing.id).await? {
            Some(now) if status != "DELETE_COMPLETE" => existing = now,
            _ => return Ok(Vec::new()),
        }
    }
    let of = |kind: &'static str| {
        doomed
            .list
            .iter()
            .filter(move |r| r.kind == kind && !r.physical.is_empty())
    };
    for repository in of("AWS::ECR::Repository") {
        leftovers::empty(aws, &repository.physical).await?;
    }
    let networks: Vec<&str> = of("AWS::EC2::VPC").map(|vpc| vpc.physical.as_str()).collect();
    interfaces(job, &networks).await;
    let retain = if existing.status == "DELETE_FAILED" {
        doomed.retain.as_slice()
    } else {
        &[]
    };
    let ended = match delete::delete_but(aws, ui, &existing, retain, *limit).await {
        // What AWS' services leave of their interfaces is given back late, and holds subnets and security groups.
        Err(Error::Stuck { .. }) if interfaces(job, &networks).await > 0 => {
            delete::delete_but(aws, ui, &existing, retain, *limit).await
        }
        ended => ended,
    };
    match ended {
        // A creation whose rollback had failed: now CloudFormation leaves alone what has failed again.
        Err(Error::Stuck { .. }) if retain.is_empty() && !doomed.retain.is_empty() => {
            let now = stack::resources(aws, &existing.id).await?;
            let failed = now.iter().filter(|one| one.status == "DELETE_FAILED");
            let retain: Vec<String> = failed
                .map(|one| one.logical.clone())
                .filter(|id| doomed.retain.contains(id))
                .collect();
            match retain.is_empty() {
                true => ended,
                false => delete::delete_but(aws, ui, &existing, &retain, *limit).await,
            }
        }
        ended => ended,
    }
}

/// Deletes the network interfaces that nothing uses any more; gives how many there were. Where the endpoint does not tell
/// them, there are none to delete.
async fn interfaces(job: &Job, networks: &[&str]) -> usize {
    let mut gone = 0;
    for vpc in networks {
        for id in leftovers::interfaces::unused(&job.aws, vpc).await.unwrap_or_default() {
            match leftovers::interfaces::delete(&job.aws, &id).await {
                Ok(()) => {
                    job.ui
                        .info(format!("deleted the unused network interface {id} of {vpc}"));
                    gone += 1;
                }
                Err(error) => job
                    .ui
                    .warn(format!("the network interface {id} of {vpc} stays: {error}")),
            }
        }
    }
    gone
}
