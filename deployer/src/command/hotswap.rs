//! `deployer up --code`: new images for running services, in the time of a rollout.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws::cloudformation;
use aws::ecs::{self, HotswapEntry, HotswapOutcome, HotswapState, ServiceRollout, service_of};
use aws::lock::{Lease, Lock};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::deploy::image_pipeline::ImagePipeline;
use super::deploy::parameters::{ImageSource, resolve_parameters};
use crate::context::Session;
use crate::error::{ArgumentError, Error, Named, ParameterError, Result};
use crate::operations;
use cfn::diff::compare;
use platform::stacks::{Plan, Source, Stack};

/// A service whose image is replaced.
struct HotswapTarget<'a> {
    stack: &'a Stack,
    service: String,
    /// The full name of the stack with its repository, and the output with the repository's URI.
    repository: (String, String),
    /// The logical id of its ECS service.
    resource: String,
    arn: String,
}

/// Builds and pushes images, registers task definitions, and waits until the services are steady with them.
///
/// # Errors
/// More than code changed, an image cannot be built or pushed, or ECS rolls a service back.
pub async fn run(session: &Session, only: &[String], timeout: Duration) -> Result<()> {
    let start = Instant::now();
    let plan = session.plan()?;
    let aws = super::bind(session.connect().await?, &plan).await?;
    let lock = Lock::acquire(
        &aws,
        &plan.project,
        &plan.environment,
        operations::lock_report(&session.ui),
    )
    .await?;
    let aws = operations::tolerating_outages(&aws, &session.ui);
    let result = replace_images(session, &aws, &lock.lease(), &plan, only, timeout).await;
    lock.release().await;
    let replaced = result?;
    let seconds = start.elapsed().as_secs_f32();
    let message = match replaced.len() {
        0 => "nothing to do: every service runs the code of the workspace".to_owned(),
        _ => format!(
            "replaced the code of {}; the next full `deployer up` updates their stacks",
            replaced.join(", ")
        ),
    };
    session.ui.info(format!("{message} ({seconds:.1} s)"));
    session.ui.data("up", json!({ "code": true, "swapped": replaced }), "");
    Ok(())
}

async fn replace_images(
    session: &Session,
    aws: &aws::Session,
    lease: &Lease,
    plan: &Plan,
    only: &[String],
    timeout: Duration,
) -> Result<Vec<String>> {
    let existing = cloudformation::list_stacks(aws, &format!("{}-{}-", plan.project, plan.environment)).await?;
    let targets = targets(aws, plan, only, &existing).await?;
    reject_more_than_code(aws, plan, &targets, &existing).await?;
    let animation = session.ui.animate();
    let images = plan
        .images
        .iter()
        .filter(|image| targets.iter().any(|target| target.service == image.service));
    let images = ImagePipeline::start(session.ui.clone(), aws.clone(), images.cloned().collect());
    let mut state = HotswapState::load(aws, &plan.project, &plan.environment).await?;
    let mut rollouts = Vec::new();
    for target in &targets {
        let (registry, output) = &target.repository;
        let missing = || ParameterError::Output {
            stack: target.stack.name.clone(),
            output: output.clone(),
            from: registry.clone(),
        };
        let uri = existing
            .get(registry)
            .and_then(|stack| stack.outputs.get(output))
            .ok_or_else(missing)?;
        let image = images.reference(&target.service, uri).await?;
        lease.require().await?;
        let (cluster, name) = service_of(&target.arn).unwrap_or(("default", &target.arn));
        let outcome = ecs::hotswap(aws, cluster, name, &target.service, &image).await?;
        if let HotswapOutcome::RollingOut { task_definition } = outcome {
            rollouts.push(ServiceRollout {
                stack: target.stack.name.clone(),
                resource: target.resource.clone(),
                service: target.service.clone(),
                arn: target.arn.clone(),
                task_definition: task_definition.clone(),
            });
            let at = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
            let entry = HotswapEntry {
                image,
                task_definition,
                at,
            };
            state.services.insert(target.service.clone(), entry);
            // Stored at once, so that the next full `up` reconciles it even if this run fails.
            state.store(aws, &plan.project, &plan.environment).await?;
        }
    }
    if !rollouts.is_empty() {
        operations::wait_for_rollouts(aws, &session.ui, &rollouts, timeout).await?;
        operations::wait_until_ready(aws, &session.ui, plan, timeout).await?;
    }
    drop(animation);
    Ok(rollouts.into_iter().map(|rollout| rollout.service).collect())
}

async fn targets<'a>(
    aws: &aws::Session,
    plan: &'a Plan,
    only: &[String],
    existing: &BTreeMap<String, cloudformation::Stack>,
) -> Result<Vec<HotswapTarget<'a>>> {
    let services: Vec<&str> = plan.images.iter().map(|image| image.service.as_str()).collect();
    let prefix = format!("{}-{}-", plan.project, plan.environment);
    let known = |name: &str| services.contains(&name.strip_prefix(&prefix).unwrap_or(name));
    if let Some(unknown) = only.iter().find(|name| !known(name)) {
        return Err(ArgumentError::unknown(Named::Image, unknown, services).into());
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
        if !existing
            .get(&stack.name)
            .is_some_and(cloudformation::Stack::is_complete)
        {
            return Err(more_than_code(&stack.name, "it is not deployed, or not complete"));
        }
        let resources = cloudformation::stack_resources(aws, &stack.name).await?;
        let found = resources
            .into_iter()
            .find(|resource| resource.resource_type == "AWS::ECS::Service");
        let found = found.ok_or_else(|| more_than_code(&stack.name, "it has no ECS service"))?;
        targets.push(HotswapTarget {
            stack,
            service,
            repository,
            resource: found.logical_id,
            arn: found.physical_id,
        });
    }
    Ok(targets)
}

/// Compares what is deployed with the manifest: a difference other than the image needs CloudFormation.
async fn reject_more_than_code(
    aws: &aws::Session,
    plan: &Plan,
    targets: &[HotswapTarget<'_>],
    existing: &BTreeMap<String, cloudformation::Stack>,
) -> Result<()> {
    for target in targets {
        let HotswapTarget { stack: planned, .. } = target;
        let Some(former) = existing.get(&planned.name) else {
            continue;
        };
        let deployed = cloudformation::stack_template(aws, &former.name).await?;
        let changed: Vec<String> = compare(deployed.as_ref(), &planned.template)
            .into_iter()
            .map(|change| match change.properties.first() {
                Some(property) => format!("{}.{}", change.logical_id, property.name),
                None => change.logical_id,
            })
            .collect();
        if !changed.is_empty() {
            return Err(more_than_code(&planned.name, &changed.join(", ")));
        }
        let find = |name: &str| existing.get(name).cloned();
        let parameters = resolve_parameters(aws, planned, Some(former), find, ImageSource::Deployed).await?;
        let differs = parameters
            .iter()
            .find(|(name, value)| former.parameters.get(*name) != Some(value));
        if let Some((name, _)) = differs {
            return Err(more_than_code(&planned.name, &format!("parameter {name}")));
        }
    }
    // A missing stack that a service depends on needs CloudFormation, too.
    match plan.stacks.iter().find(|stack| {
        targets.iter().any(|t| t.stack.depends_on.contains(&stack.name)) && !existing.contains_key(&stack.name)
    }) {
        Some(missing) => Err(more_than_code(&missing.name, "it is not deployed")),
        None => Ok(()),
    }
}

fn more_than_code(stack: &str, what: &str) -> Error {
    Error::MoreThanCode {
        stack: stack.to_owned(),
        what: what.to_owned(),
    }
}

/// Rolls services that `up --code` has changed back to their stacks' task definitions, unless the full `up` has done so.
///
/// # Errors
/// The state of hotswaps or a service cannot be read or changed.
pub async fn reconcile(session: &Session, aws: &aws::Session, plan: &Plan) -> Result<()> {
    let mut state = HotswapState::load(aws, &plan.project, &plan.environment).await?;
    if state.services.is_empty() {
        return Ok(());
    }
    for stack in &plan.stacks {
        if !state.services.contains_key(&stack.short_name) {
            continue;
        }
        let resources = cloudformation::stack_resources(aws, &stack.name).await?;
        let physical_id = |resource_type: &str| {
            resources
                .iter()
                .find(|found| found.resource_type == resource_type)
                .map(|found| found.physical_id.clone())
        };
        let (Some(arn), Some(declared)) = (
            physical_id("AWS::ECS::Service"),
            physical_id("AWS::ECS::TaskDefinition"),
        ) else {
            continue;
        };
        let (cluster, name) = service_of(&arn).unwrap_or(("default", &arn));
        if ecs::live_task_definition(aws, cluster, name).await? != declared {
            session.ui.info(format!(
                "{}: returning to its stack's task definition after `up --code`",
                stack.short_name
            ));
            ecs::update_service(aws, cluster, name, &declared).await?;
        }
    }
    state.services.clear();
    state.store(aws, &plan.project, &plan.environment).await?;
    Ok(())
}
