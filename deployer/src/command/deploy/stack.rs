//! The deployment of one stack.

use std::collections::BTreeMap;

use super::parameters::{ImageSource, resolve_parameters};
use super::removals::{STATEFUL_TYPES, describe_loss};
use super::{Deployment, StackOperation, StackOutcome, announce};
use crate::command::confirm::Confirmation;
use crate::error::Result;
use crate::estimate::within;
use crate::operations;
use aws::cloudformation::protection::unprotected_template;
use aws::cloudformation::{self, ChangeSet, StackInput};
use cfn::diff::Change;
use platform::stacks::{Plan, Source, Stack};
use serde_json::Value;
use ui::{Event, Sentiment};

/// Creates or updates the stack at this position of the plan, unless it is up to date.
///
/// # Errors
/// A parameter has no value, CloudFormation rejects or rolls back the operation, or a loss of data is not confirmed.
pub async fn deploy_stack(deployment: &Deployment, index: usize) -> Result<StackOutcome> {
    let Deployment {
        aws, ui, plan, timeout, ..
    } = deployment;
    let planned = &plan.stacks[index];
    deployment.require_lock().await?;
    let known = deployment.existing(&planned.name);
    let mut former = operations::ensure_updatable(aws, ui, &planned.name, known, *timeout).await?;
    if deployment.images.is_building()
        && planned
            .parameters
            .iter()
            .any(|p| matches!(p.source, Source::Image { .. }))
    {
        ui.emit(Event::StackWaiting {
            stack: planned.name.clone(),
            on: "its image".to_owned(),
        });
    }
    let existing = |name: &str| deployment.existing(name);
    let images = ImageSource::Built(&deployment.images);
    let resolved = resolve_parameters(aws, planned, former.as_ref(), existing, images);
    // After an interrupt the stack is not started, even if its image is still being built.
    let parameters = tokio::select! {
        parameters = resolved => parameters?,
        () = deployment.stop.cancelled() => return Ok(StackOutcome::Skipped),
    };
    let mut input = stack_input(plan, planned, parameters);
    if let Some(known) = &former {
        match cloudformation::stack_template(aws, &known.name).await? {
            template if is_up_to_date(known, &input, template.as_ref(), planned) => {
                unchanged(
                    deployment,
                    enable_termination_protection(deployment, known.clone()).await,
                );
                return Ok(StackOutcome::Unchanged);
            }
            None if cloudformation::find_stack(aws, &known.name).await?.is_none() => {
                ui.warn(format!(
                    "{} was deleted in the meantime; creating it again",
                    planned.name
                ));
                former = None;
            }
            _ => {}
        }
    }
    if deployment.stop.is_cancelled() {
        return Ok(StackOutcome::Skipped);
    }
    let creates = former.is_none();
    // What a first creation makes is protected once the stack is complete, so that the rollback of a failed one can delete it.
    let unprotected = unprotected_template(&planned.template).filter(|_| creates);
    let protected = std::mem::take(&mut input.template);
    input.template = unprotected.as_ref().map_or_else(|| protected.clone(), Value::to_string);
    let set = match cloudformation::create_change_set(aws, &input, creates).await {
        Ok(Some(set)) => set,
        Ok(None) => {
            if let Some(former) = former {
                unchanged(deployment, enable_termination_protection(deployment, former).await);
            }
            return Ok(StackOutcome::Unchanged);
        }
        Err(error) => {
            if creates {
                delete_empty_stack(deployment, &planned.name).await;
            }
            return Err(error.into());
        }
    };
    if let Err(error) = confirm_data_loss(deployment, planned, &set).await {
        cloudformation::delete_change_set(aws, &set.id, &set.stack_id).await?;
        return Err(error);
    }
    execute(deployment, planned, &set).await?;
    if unprotected.is_some() && !deployment.stop.is_cancelled() {
        input.template = protected;
        if let Some(set) = cloudformation::create_change_set(aws, &input, false).await? {
            execute(deployment, planned, &set).await?;
        }
    }
    if let Some(now) = cloudformation::find_stack(aws, &planned.name).await? {
        deployment.update_existing(enable_termination_protection(deployment, now).await);
    }
    Ok(if creates {
        StackOutcome::Created
    } else {
        StackOutcome::Updated
    })
}

/// Executes a change set and waits for its end.
async fn execute(deployment: &Deployment, planned: &Stack, set: &ChangeSet) -> Result<()> {
    let Deployment { aws, ui, timeout, .. } = deployment;
    deployment.require_lock().await?;
    deployment.running().insert(
        planned.name.clone(),
        StackOperation {
            id: set.stack_id.clone(),
            creates: set.creates,
        },
    );
    let expected = expected_seconds(deployment, planned, set);
    operations::apply(aws, ui, &planned.name, set, expected, *timeout).await?;
    Ok(())
}

/// Enables the termination protection of a stack in a protected environment. Warns where the endpoint cannot.
async fn enable_termination_protection(
    deployment: &Deployment,
    mut now: cloudformation::Stack,
) -> cloudformation::Stack {
    if !deployment.plan.protected || now.protected {
        return now;
    }
    match cloudformation::set_termination_protection(&deployment.aws, &now.id, true).await {
        Ok(()) => now.protected = true,
        Err(error) => deployment
            .ui
            .warn(format!("{} has no termination protection: {error}", now.name)),
    }
    now
}

/// Returns the expected seconds of this operation: of its longest chain of resources, as far as their types were measured.
fn expected_seconds(deployment: &Deployment, planned: &Stack, set: &ChangeSet) -> Option<u32> {
    let seconds = within(planned, &set.changes, &deployment.durations).seconds;
    announce::rounded(seconds).filter(|_| seconds > 0.0)
}

/// Returns the input of CloudFormation for a stack.
pub fn stack_input(plan: &Plan, stack: &Stack, parameters: BTreeMap<String, String>) -> StackInput {
    let tags = [
        ("project", &plan.project),
        ("environment", &plan.environment),
        ("stack", &stack.short_name),
    ];
    StackInput {
        name: stack.name.clone(),
        template: stack.template.to_string(),
        parameters,
        tags: tags
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .collect(),
    }
}

/// Returns whether nothing would change, as far as that is known without a change set.
pub fn is_up_to_date(
    former: &cloudformation::Stack,
    input: &StackInput,
    template: Option<&Value>,
    planned: &Stack,
) -> bool {
    former.is_complete()
        && template == Some(&planned.template)
        && former.parameters == input.parameters
        && input
            .tags
            .iter()
            .all(|(key, value)| former.tags.get(key) == Some(value))
}

fn unchanged(deployment: &Deployment, former: cloudformation::Stack) {
    let (stack, status) = (former.name.clone(), "unchanged".to_owned());
    deployment.ui.emit(Event::StackEnded {
        stack,
        status,
        sentiment: Sentiment::Neutral,
        seconds: 0.0,
    });
    deployment.update_existing(former);
}

/// Asks for confirmation of a loss of data that only the change set shows.
async fn confirm_data_loss(deployment: &Deployment, planned: &Stack, set: &ChangeSet) -> Result<()> {
    let lost: Vec<&Change> = set
        .changes
        .iter()
        .filter(|c| c.destroys() && STATEFUL_TYPES.contains(&c.resource_type.as_str()))
        .filter(|c| {
            let resource = (planned.name.clone(), c.logical_id.clone());
            !deployment.confirmed_losses.contains(&resource)
        })
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    for change in &lost {
        deployment.ui.warn(describe_loss(&planned.name, change));
    }
    let question = format!("Apply this to {}?", planned.name);
    let confirmation = Confirmation::Yes { question: &question };
    let unchanged = format!("{} was not changed", planned.name);
    Ok(confirmation.ask(&deployment.ui, &unchanged).await?)
}

/// Deletes the empty stack that remains when CloudFormation rejects a first change set.
async fn delete_empty_stack(deployment: &Deployment, name: &str) {
    let Deployment { aws, ui, timeout, .. } = deployment;
    if let Ok(Some(empty)) = cloudformation::find_stack(aws, name).await
        && empty.status == "REVIEW_IN_PROGRESS"
        && let Err(error) = operations::delete(aws, ui, &empty, &[], *timeout).await
    {
        ui.warn(format!("cannot delete the empty stack {name}: {error}"));
    }
}
