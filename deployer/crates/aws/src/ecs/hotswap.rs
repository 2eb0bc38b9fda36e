//! Hotswap: another image for a running service, without CloudFormation, in a new revision of its live task definition.

use aws_sdk_ecs::operation::register_task_definition::builders::RegisterTaskDefinitionFluentBuilder;
use aws_sdk_ecs::types::{ContainerDefinition, TaskDefinition, TaskDefinitionField};

use super::error::{Error, Result};
use crate::session::Session;

/// The outcome of a hotswap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HotswapOutcome {
    /// The service runs this image already.
    Unchanged,
    /// The service rolls out another task definition, by ARN.
    RollingOut {
        /// The ARN of the new one.
        task_definition: String,
    },
}

/// Returns the task definition that a service runs now, by ARN.
///
/// # Errors
/// The service is not active, or the request fails.
pub async fn live_task_definition(aws: &Session, cluster: &str, service: &str) -> Result<String> {
    let request = aws.ecs.describe_services().cluster(cluster).services(service);
    let response = request.send().await?;
    let active = response
        .services()
        .iter()
        .find(|found| found.status() == Some("ACTIVE"));
    let definition = active.and_then(|found| found.task_definition());
    definition.map(str::to_owned).ok_or_else(|| Error::NoService {
        service: service.to_owned(),
        cluster: cluster.to_owned(),
    })
}

/// Registers the live task definition with another image in the named container, and starts its rollout.
///
/// Everything but the image stays as it is live. The service's circuit breaker stays on.
///
/// # Errors
/// The service, its task definition or the container does not exist, or a request fails.
pub async fn hotswap(
    aws: &Session,
    cluster: &str,
    service: &str,
    container: &str,
    image: &str,
) -> Result<HotswapOutcome> {
    let live = live_task_definition(aws, cluster, service).await?;
    let request = aws.ecs.describe_task_definition().task_definition(&live);
    let described = request.include(TaskDefinitionField::Tags).send().await?;
    let definition = described.task_definition().ok_or_else(|| Error::NoTaskDefinition {
        service: service.to_owned(),
        task_definition: live.clone(),
    })?;
    let mut containers = definition.container_definitions().to_vec();
    let Some(own) = containers.iter_mut().find(|found| found.name() == Some(container)) else {
        return Err(Error::NoContainer {
            task_definition: live,
            container: container.to_owned(),
        });
    };
    if own.image() == Some(image) {
        return Ok(HotswapOutcome::Unchanged);
    }
    own.image = Some(image.to_owned());
    let tags = described.tags().iter();
    let tags: Vec<_> = tags
        .filter(|tag| tag.key().is_some_and(|key| !key.starts_with("aws:")))
        .cloned()
        .collect();
    let request = copy(aws.ecs.register_task_definition(), definition, containers);
    let registered = request.set_tags((!tags.is_empty()).then_some(tags)).send().await?;
    let registered = registered
        .task_definition()
        .and_then(|registered| registered.task_definition_arn());
    let task_definition = registered.unwrap_or_default().to_owned();
    update_service(aws, cluster, service, &task_definition).await?;
    Ok(HotswapOutcome::RollingOut { task_definition })
}

/// Starts the rollout of a task definition.
///
/// # Errors
/// The request fails.
pub async fn update_service(aws: &Session, cluster: &str, service: &str, task_definition: &str) -> Result<()> {
    let request = aws.ecs.update_service().cluster(cluster).service(service);
    request.task_definition(task_definition).send().await?;
    Ok(())
}

/// Returns the image of a container in a task definition, or of its first container if there is none of that name.
///
/// # Errors
/// The request fails.
pub async fn running_image(aws: &Session, task_definition: &str, container: &str) -> Result<Option<String>> {
    let request = aws.ecs.describe_task_definition().task_definition(task_definition);
    let response = request.send().await?;
    let containers = response
        .task_definition()
        .map(|definition| definition.container_definitions())
        .unwrap_or_default();
    let own = containers.iter().find(|found| found.name() == Some(container));
    let image = own.or(containers.first()).and_then(|found| found.image());
    Ok(image.map(str::to_owned))
}

/// Copies every setting of a task definition except those that ECS sets (`RegisterTaskDefinition`'s parameters).
fn copy(
    request: RegisterTaskDefinitionFluentBuilder,
    from: &TaskDefinition,
    containers: Vec<ContainerDefinition>,
) -> RegisterTaskDefinitionFluentBuilder {
    request
        .set_family(from.family.clone())
        .set_task_role_arn(from.task_role_arn.clone())
        .set_execution_role_arn(from.execution_role_arn.clone())
        .set_network_mode(from.network_mode.clone())
        .set_container_definitions(Some(containers))
        .set_volumes(from.volumes.clone().filter(|volumes| !volumes.is_empty()))
        .set_placement_constraints(from.placement_constraints.clone().filter(|all| !all.is_empty()))
        .set_requires_compatibilities(from.requires_compatibilities.clone())
        .set_cpu(from.cpu.clone())
        .set_memory(from.memory.clone())
        .set_pid_mode(from.pid_mode.clone())
        .set_ipc_mode(from.ipc_mode.clone())
        .set_proxy_configuration(from.proxy_configuration.clone())
        .set_ephemeral_storage(from.ephemeral_storage.clone())
        .set_runtime_platform(from.runtime_platform.clone())
        .set_enable_fault_injection(from.enable_fault_injection)
}
