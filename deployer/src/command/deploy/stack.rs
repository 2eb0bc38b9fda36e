//! One stack of a deployment.

use std::collections::BTreeMap;

use super::leaving::loss;
use super::resolve::{Images, resolve};
use super::{Deployment, Outcome, Running};
use crate::cloudformation::change::{self, ChangeSet, Wanted};
use crate::cloudformation::patience::persist;
use crate::cloudformation::{Existing, apply, delete, settle, stack};
use crate::diff::Change;
use crate::error::{Error, Result};
use crate::estimate::within;
use crate::stacks::{Plan, Source, Stack};
use ui::{Event, Sentiment};

/// What holds people's data: losing one of these is not undone by deploying again.
pub const PRECIOUS: [&str; 6] = [
    "AWS::RDS::DBInstance",
    "AWS::RDS::DBCluster",
    "AWS::MSK::Cluster",
    "AWS::MSK::Topic",
    "AWS::SecretsManager::Secret",
    "AWS::S3::Bucket",
];

/// Creates, updates, or leaves alone the stack at this place of the plan.
pub async fn bring(deployment: &Deployment, index: usize) -> Result<Outcome> {
    let Deployment {
        aws, ui, plan, limit, ..
    } = deployment;
    let planned = &plan.stacks[index];
    let known = deployment.existing(&planned.name);
    let mut former = persist(aws, ui, || {
        settle::settle(aws, ui, &planned.name, known.clone(), *limit)
    })
    .await?;
    if deployment.images.is_open()
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
    let images = Images::Built(&deployment.images);
    let resolved = persist(aws, ui, || resolve(aws, planned, former.as_ref(), existing, images));
    // An image that is still compiled is for a stack that is not begun any more.
    let parameters = tokio::select! {
        parameters = resolved => parameters?,
        () = deployment.stop.cancelled() => return Ok(Outcome::Skipped),
    };
    let wanted = wanted(plan, planned, parameters);
    if let Some(known) = &former {
        match persist(aws, ui, || stack::template(aws, &known.name)).await? {
            template if is_same(known, &wanted, template.as_ref(), planned) => {
                unchanged(deployment, guard(deployment, known.clone()).await);
                return Ok(Outcome::Unchanged);
            }
            None if persist(aws, ui, || stack::find(aws, &known.name)).await?.is_none() => {
                ui.warn(format!("{} was deleted meanwhile: it is made anew", planned.name));
                former = None;
            }
            _ => {}
        }
    }
    if deployment.stop.is_cancelled() {
        return Ok(Outcome::Skipped);
    }
    let creates = former.is_none();
    let set = match persist(aws, ui, || change::prepare(aws, &wanted, creates)).await {
        Ok(Some(set)) => set,
        Ok(None) => {
            if let Some(former) = former {
                unchanged(deployment, guard(deployment, former).await);
            }
            return Ok(Outcome::Unchanged);
        }
        Err(error) => {
            if creates {
                tidy(deployment, &planned.name).await;
            }
            return Err(error);
        }
    };
    if let Err(error) = consent(deployment, planned, &set).await {
        change::discard(aws, &set.id, &set.stack_id).await?;
        return Err(error);
    }
    deployment.running().insert(
        planned.name.clone(),
        Running {
            id: set.stack_id.clone(),
            creates,
        },
    );
    let expected = expected_seconds(deployment, planned, &set);
    apply::apply(aws, ui, &planned.name, &set, expected, *limit).await?;
    if let Some(now) = persist(aws, ui, || stack::find(aws, &planned.name)).await? {
        deployment.remember(guard(deployment, now).await);
    }
    Ok(if creates { Outcome::Created } else { Outcome::Updated })
}

/// Sets the termination protection of a protected environment's stack; an endpoint that cannot is no reason to fail.
async fn guard(deployment: &Deployment, mut now: Existing) -> Existing {
    if !deployment.plan.protected || now.protected {
        return now;
    }
    match stack::protect(&deployment.aws, &now.id, true).await {
        Ok(()) => now.protected = true,
        Err(error) => deployment
            .ui
            .warn(format!("{} has no termination protection: {error}", now.name)),
    }
    now
}

/// What this operation takes along its longest chain of resources, as far as somebody has measured their kinds.
fn expected_seconds(deployment: &Deployment, planned: &Stack, set: &ChangeSet) -> Option<u32> {
    let seconds = within(planned, &set.changes, &deployment.durations).seconds;
    (seconds > 0.0).then_some(seconds.round() as u32)
}

/// The stack as its template and parameters say.
pub fn wanted(plan: &Plan, stack: &Stack, parameters: BTreeMap<String, String>) -> Wanted {
    let tags = [
        ("project", &plan.project),
        ("environment", &plan.environment),
        ("stack", &stack.short_name),
    ];
    Wanted {
        name: stack.name.clone(),
        template: stack.template.to_string(),
        parameters,
        tags: tags
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .collect(),
    }
}

/// Whether nothing would change, as far as can be seen without a change set.
pub fn is_same(former: &Existing, wanted: &Wanted, template: Option<&serde_json::Value>, planned: &Stack) -> bool {
    former.is_complete()
        && template == Some(&planned.template)
        && former.parameters == wanted.parameters
        && wanted
            .tags
            .iter()
            .all(|(key, value)| former.tags.get(key) == Some(value))
}

fn unchanged(deployment: &Deployment, former: Existing) {
    let (stack, status) = (former.name.clone(), "unchanged".to_owned());
    deployment.ui.emit(Event::StackEnded {
        stack,
        status,
        sentiment: Sentiment::Neutral,
        seconds: 0.0,
    });
    deployment.remember(former);
}

/// Asks before data is lost of which the templates alone did not tell.
async fn consent(deployment: &Deployment, planned: &Stack, set: &ChangeSet) -> Result<()> {
    let lost: Vec<&Change> = set
        .changes
        .iter()
        .filter(|c| c.destroys() && PRECIOUS.contains(&c.resource_type.as_str()))
        .filter(|c| {
            !deployment
                .agreed
                .contains(&(planned.name.clone(), c.logical_id.clone()))
        })
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    for change in &lost {
        deployment.ui.warn(loss(&planned.name, change));
    }
    match deployment.ui.ask(&format!("Apply this to {}?", planned.name)).await {
        Some(true) => Ok(()),
        Some(false) => Err(Error::Declined(format!("{} was left as it is", planned.name))),
        None => Err(Error::Declined(format!(
            "{} was left as it is, because data would be lost; run with --yes to apply it, `deployer diff` to see it",
            planned.name
        ))),
    }
}

/// Removes the empty stack that a refused first change set leaves behind.
async fn tidy(deployment: &Deployment, name: &str) {
    if let Ok(Some(left)) = stack::find(&deployment.aws, name).await
        && left.status == "REVIEW_IN_PROGRESS"
        && let Err(error) = delete::delete(&deployment.aws, &deployment.ui, &left, deployment.limit).await
    {
        deployment
            .ui
            .warn(format!("the empty stack {name} stays behind: {error}"));
    }
}
