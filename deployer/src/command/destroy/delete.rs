//! The deletion of the stacks of a plan: in parallel, each after all stacks that use it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws::cloudformation::{self, RetainedResource};
use aws::ec2::{self, InterfaceOwner};
use aws::ecr;
use aws::lock::Lease;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use ui::Ui;

use super::plan::{DestroyPlan, StackDeletion};
use crate::command::deploy::interrupt::Interrupts;
use crate::error::{Error, Result};
use crate::operations;

/// The connection and the limits of a deletion.
#[derive(Clone)]
pub struct DeleteContext {
    pub aws: aws::Session,
    pub ui: Ui,
    /// The time limit of one stack.
    pub timeout: Duration,
    /// Cancelled when no further deletion is to start.
    pub stop: CancellationToken,
    /// The lock that must be held when a deletion starts.
    pub lease: Lease,
}

/// Disables every protection, then deletes the stacks. Returns the resources that CloudFormation retained. After a first Ctrl-C no
/// further deletion starts, a second one ends the command; `hint` says what CloudFormation then continues.
///
/// # Errors
/// A protection cannot be disabled, a deletion fails, or the command is interrupted.
pub async fn delete_interruptibly(
    context: &DeleteContext,
    plan: &DestroyPlan,
    interrupts: &mut Interrupts,
    hint: &str,
) -> Result<Vec<RetainedResource>> {
    let DeleteContext { aws, ui, .. } = context;
    let work = async {
        for one in plan.stacks.iter().filter(|one| !one.protections.is_empty()) {
            operations::disable_protections(aws, ui, &one.protections).await?;
        }
        delete_stacks(context, plan).await
    };
    tokio::pin!(work);
    let interrupted = || Error::Interrupted { hint: hint.to_owned() };
    loop {
        tokio::select! {
            ended = &mut work => {
                return match ended {
                    Ok(_) if context.stop.is_cancelled() => Err(interrupted()),
                    ended => ended,
                };
            }
            () = interrupts.next() => {
                if context.stop.is_cancelled() {
                    return Err(interrupted());
                }
                context.stop.cancel();
                ui.info("interrupted: no further deletion starts, and running ones cannot be cancelled; waiting for them (Ctrl-C again to detach)");
            }
        }
    }
}

/// Deletes the stacks; returns the resources that CloudFormation retained.
async fn delete_stacks(context: &DeleteContext, plan: &DestroyPlan) -> Result<Vec<RetainedResource>> {
    let mut senders = HashMap::new();
    let mut ends = HashMap::new();
    for deletion in &plan.stacks {
        let (sender, receiver) = watch::channel(None);
        senders.insert(deletion.stack.clone(), sender);
        ends.insert(deletion.stack.clone(), receiver);
    }
    let mut tasks = JoinSet::new();
    for deletion in &plan.stacks {
        let users: Vec<watch::Receiver<Option<bool>>> = deletion
            .after
            .iter()
            .filter_map(|user| ends.get(user).cloned())
            .collect();
        let Some(sender) = senders.remove(&deletion.stack) else {
            continue;
        };
        let (context, deletion) = (context.clone(), Arc::new(deletion.clone()));
        tasks.spawn(async move {
            let mut unused = true;
            for mut user in users {
                unused &= matches!(user.wait_for(Option::is_some).await.map(|end| *end), Ok(Some(true)));
            }
            let result = if unused && !context.stop.is_cancelled() {
                delete_stack(&context, &deletion).await.map(Some)
            } else {
                Ok(None)
            };
            sender.send_replace(Some(matches!(result, Ok(Some(_)))));
            (deletion, result)
        });
    }
    let (mut retained, mut failures, mut not_started) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(joined) = tasks.join_next().await {
        match joined.map_err(anyhow::Error::from)? {
            (_, Ok(Some(skipped))) => retained.extend(skipped),
            (deletion, Ok(None)) => not_started.push(deletion.stack.clone()),
            (_, Err(error)) => failures.push(error),
        }
    }
    if !not_started.is_empty() {
        not_started.sort();
        context.ui.info(format!("not deleted: {}", not_started.join(", ")));
    }
    Error::several(failures).map_or(Ok(retained), Err)
}

/// Deletes one stack, and before it the images and network interfaces that would prevent its deletion.
async fn delete_stack(context: &DeleteContext, deletion: &StackDeletion) -> Result<Vec<RetainedResource>> {
    let DeleteContext { aws, ui, timeout, .. } = context;
    context.lease.require().await?;
    let mut existing = deletion.existing.clone();
    if existing.is_in_progress() {
        ui.info(format!(
            "{}: waiting for the operation in progress ({})",
            existing.name, existing.status
        ));
        let status = operations::wait_for_operation(aws, ui, &existing, *timeout).await?;
        match cloudformation::find_stack(aws, &existing.id).await? {
            Some(now) if status != "DELETE_COMPLETE" => existing = now,
            _ => return Ok(Vec::new()),
        }
    }
    let of = |kind: &'static str| {
        deletion
            .list
            .iter()
            .filter(move |one| one.resource_type == kind && !one.physical_id.is_empty())
    };
    for repository in of("AWS::ECR::Repository") {
        ecr::delete_all_images(aws, &repository.physical_id).await?;
    }
    let ids = |kind: &'static str| of(kind).map(|one| one.physical_id.clone()).collect::<Vec<_>>();
    // In an existing VPC only those of the environment's own security groups.
    let interfaces = match ids("AWS::EC2::VPC") {
        none if none.is_empty() => InterfaceOwner::SecurityGroups(ids("AWS::EC2::SecurityGroup")),
        networks => InterfaceOwner::Vpcs(networks),
    };
    delete_interfaces(context, &interfaces).await;
    let retain = if existing.status == "DELETE_FAILED" {
        deletion.retain.as_slice()
    } else {
        &[]
    };
    let delete = async |retain: &[String]| -> Result<Vec<RetainedResource>> {
        Ok(operations::delete(aws, ui, &existing, retain, *timeout).await?)
    };
    let ended = match delete(retain).await {
        // AWS services release their network interfaces late, and these prevent the deletion of subnets and security groups.
        Err(error) if error.is_stuck() && delete_interfaces(context, &interfaces).await > 0 => delete(retain).await,
        ended => ended,
    };
    match ended {
        // A creation whose rollback had failed: after this deletion CloudFormation retains what has failed again.
        Err(error) if error.is_stuck() && retain.is_empty() && !deletion.retain.is_empty() => {
            let now = cloudformation::stack_resources(aws, &existing.id).await?;
            let failed = now.iter().filter(|one| one.status == "DELETE_FAILED");
            let retain: Vec<String> = failed
                .map(|one| one.logical_id.clone())
                .filter(|id| deletion.retain.contains(id))
                .collect();
            if retain.is_empty() {
                Err(error)
            } else {
                delete(&retain).await
            }
        }
        ended => ended,
    }
}

/// Deletes the network interfaces that nothing uses; returns their number. An endpoint that cannot list them has none.
async fn delete_interfaces(context: &DeleteContext, owner: &InterfaceOwner) -> usize {
    let DeleteContext { aws, ui, .. } = context;
    let mut count = 0;
    for interface in ec2::unused_interfaces(aws, owner).await.unwrap_or_default() {
        let id = interface.id;
        match ec2::delete_network_interface(aws, &id).await {
            Ok(()) => {
                ui.info(format!("deleted the unused network interface {id}"));
                count += 1;
            }
            Err(error) => ui.warn(format!("cannot delete the network interface {id}: {error}")),
        }
    }
    count
}
