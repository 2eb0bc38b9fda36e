//! `deployer up --code`: new images for running services, in the time that a rollout takes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::deploy::images::Pipeline;
use super::deploy::resolve::{Images, resolve};
use crate::cloudformation::{Existing, stack};
use crate::diff::compare;
use crate::ecs::follow::{Rolling, follow};
use crate::ecs::hotswap::{self, Swap};
use crate::ecs::swapped::{Entry, Swapped};
use crate::ecs::{service_of, serving};
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::stacks::{Plan, Source, Stack};
use crate::suggest::closest_or_all;
use crate::target::{Aws, Session};

/// A service whose image may be swapped.
struct Target<'a> {
    stack: &'a Stack,
    service: String,
    /// Full name of the stack that holds its repository, and the output that is the repository's URI.
    repository: (String, String),
    /// The logical and the physical id of its ECS service.
    resource: String,
    arn: String,
}

/// Builds, pushes, registers, and waits until the services are steady on the new images.
pub async fn run(session: &Session, only: &[String], limit: Duration) -> Result<()> {
    let began = Instant::now();
    let plan = session.plan()?;
    let aws = session.connect().await?;
    let lock = Lock::take(&aws, &session.ui, &plan.project, &plan.environment).await?;
    let result = swap_all(session, &aws, &plan, only, limit).await;
    lock.release(&session.ui).await;
    let swapped = result?;
    let seconds = began.elapsed().as_secs_f32();
    let what = match swapped.len() {
        0 => "nothing to do: every service runs the code of the workspace".to_owned(),
        _ => format!(
            "swapped: {}; the next `deployer up` brings their stacks up to date",
            swapped.join(", ")
        ),
    };
    session.ui.info(format!("{what} ({seconds:.1} s)"));
    session.ui.data("up", json!({ "code": true, "swapped": swapped }), "");
    Ok(())
}

async fn swap_all(session: &Session, aws: &Aws, plan: &Plan, only: &[String], limit: Duration) -> Result<Vec<String>> {
    let existing = stack::all(aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
    let targets = targets(aws, plan, only, &existing).await?;
    refuse_more_than_code(aws, plan, &targets, &existing).await?;
    let animation = session.ui.animate();
    let wanted = plan
        .images
        .iter()
        .filter(|image| targets.iter().any(|target| target.service == image.service));
    let images = Pipeline::start(session.ui.clone(), aws.clone(), wanted.cloned().collect());
    let mut record = Swapped::load(aws, &plan.project, &plan.environment).await?;
    let mut rolling = Vec::new();
    for target in &targets {
        let (registry, output) = &target.repository;
        let missing = || {
            Error::Plan(format!(
                "stack {registry} has no output {output}; a full `deployer up` makes it"
            ))
        };
        let uri = existing
            .get(registry)
            .and_then(|stack| stack.outputs.get(output))
            .ok_or_else(missing)?;
        let image = images.reference(&target.service, uri).await?;
        let (cluster, name) = service_of(&target.arn).unwrap_or(("default", &target.arn));
        if let Swap::Rolling { to, .. } = hotswap::swap(aws, cluster, name, &target.service, &image).await? {
            rolling.push(Rolling {
                stack: target.stack.name.clone(),
                resource: target.resource.clone(),
                service: target.service.clone(),
                arn: target.arn.clone(),
                to: to.clone(),
            });
            let at = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
            let entry = Entry {
                image,
                task_definition: to,
                at,
            };
            record.services.insert(target.service.clone(), entry);
            // Written at once: whatever becomes of this run, the next full one knows.
            record.store(aws, &plan.project, &plan.environment).await?;
        }
    }
    if !rolling.is_empty() {
        follow(aws, &session.ui, &rolling, limit).await?;
        serving::wait(aws, &session.ui, plan, limit).await?;
    }
    drop(animation);
    Ok(rolling.into_iter().map(|rolling| rolling.service).collect())
}

async fn targets<'a>(
    aws: &Aws,
    plan: &'a Plan,
    only: &[String],
    existing: &BTreeMap<String, Existing>,
) -> Result<Vec<Target<'a>>> {
    let services: Vec<&str> = plan.images.iter().map(|image| image.service.as_str()).collect();
    let prefix = format!("{}-{}-", plan.project, plan.environment);
    let known = |name: &str| services.contains(&name.strip_prefix(&prefix).unwrap_or(name));
    if let Some(unknown) = only.iter().find(|name| !known(name)) {
        return Err(Error::Usage(format!(
            "there is no service '{unknown}' that is built here; {}",
            closest_or_all("services", unknown, services)
        )));
    }
    let mut targets = Vec::new();
    for stack in &plan.stacks {
        let chosen = only.is_empty() || only.iter().any(|name| *name == stack.short_name || *name == stack.name);
        let image = stack.parameters.iter().find_map(|parameter| match &parameter.source {
            Source::Image { service, stack, output } => Some((service.clone(), (stack.clone(), output.clone()))),
            _ => None,
        });
        let Some((service, repository)) = image.filter(|_| chosen) else {
            continue;
        };
        if !existing.get(&stack.name).is_some_and(Existing::is_complete) {
            return Err(more(&stack.name, "it is not deployed, or not completely"));
        }
        let resources = stack::resources(aws, &stack.name).await?;
        let found = resources
            .into_iter()
            .find(|resource| resource.kind == "AWS::ECS::Service");
        let found = found.ok_or_else(|| more(&stack.name, "it has no ECS service"))?;
        targets.push(Target {
            stack,
            service,
            repository,
            resource: found.logical,
            arn: found.physical,
        });
    }
    Ok(targets)
}

/// Compares what is deployed with the manifest: whatever differs beside the image needs CloudFormation.
async fn refuse_more_than_code(
    aws: &Aws,
    plan: &Plan,
    targets: &[Target<'_>],
    existing: &BTreeMap<String, Existing>,
) -> Result<()> {
    for target in targets {
        let Target { stack: planned, .. } = target;
        let Some(former) = existing.get(&planned.name) else {
            continue;
        };
        let deployed = stack::template(aws, &former.name).await?;
        let changed: Vec<String> = compare(deployed.as_ref(), &planned.template)
            .into_iter()
            .map(|change| match change.properties.first() {
                Some(property) => format!("{}.{}", change.logical_id, property.name),
                None => change.logical_id,
            })
            .collect();
        if !changed.is_empty() {
            return Err(more(&planned.name, &changed.join(", ")));
        }
        let find = |name: &str| existing.get(name).cloned();
        let wanted = resolve(aws, planned, Some(former), find, Images::Deployed).await?;
        let differs = wanted
            .iter()
            .find(|(name, value)| former.parameters.get(*name) != Some(value));
        if let Some((name, _)) = differs {
            return Err(more(&planned.name, &format!("parameter {name}")));
        }
    }
    // A stack that other services need and that is not there yet is more than code, too.
    match plan.stacks.iter().find(|stack| {
        targets.iter().any(|t| t.stack.depends_on.contains(&stack.name)) && !existing.contains_key(&stack.name)
    }) {
        Some(missing) => Err(more(&missing.name, "it is not deployed")),
        None => Ok(()),
    }
}

fn more(stack: &str, what: &str) -> Error {
    Error::MoreThanCode {
        stack: stack.to_owned(),
        what: what.to_owned(),
    }
}

/// Brings services that `up --code` has swapped back to their stacks' task definitions, where a full `up` has not already.
pub async fn reconcile(session: &Session, aws: &Aws, plan: &Plan) -> Result<()> {
    let mut record = Swapped::load(aws, &plan.project, &plan.environment).await?;
    if record.services.is_empty() {
        return Ok(());
    }
    for stack in &plan.stacks {
        if !record.services.contains_key(&stack.short_name) {
            continue;
        }
        let resources = stack::resources(aws, &stack.name).await?;
        let physical = |kind: &str| {
            resources
                .iter()
                .find(|found| found.kind == kind)
                .map(|found| found.physical.clone())
        };
        let (Some(arn), Some(wanted)) = (physical("AWS::ECS::Service"), physical("AWS::ECS::TaskDefinition")) else {
            continue;
        };
        let (cluster, name) = service_of(&arn).unwrap_or(("default", &arn));
        if hotswap::live(aws, cluster, name).await? != wanted {
            session.ui.info(format!(
                "{}: back to its stack's task definition, after `up --code`",
                stack.short_name
            ));
            hotswap::roll(aws, cluster, name, &wanted).await?;
        }
    }
    record.services.clear();
    record.store(aws, &plan.project, &plan.environment).await
}
