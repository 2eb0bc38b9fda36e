//! Another image for a running service, past CloudFormation: a new revision of the task definition that is live.

use aws_sdk_ecs::operation::register_task_definition::builders::RegisterTaskDefinitionFluentBuilder;
use aws_sdk_ecs::types::{ContainerDefinition, TaskDefinition, TaskDefinitionField};

use crate::error::{Error, Result};
use crate::target::Aws;

/// What became of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swap {
    /// It runs this image already.
    Unchanged,
    /// It rolls over from one task definition to another, both by ARN.
    Rolling { from: String, to: String },
}

/// The task definition that a service runs now, by ARN.
pub async fn live(aws: &Aws, cluster: &str, service: &str) -> Result<String> {
    let answer = aws
        .ecs
        .describe_services()
        .cluster(cluster)
        .services(service)
        .send()
        .await?;
    let found = answer.services().iter().find(|found| found.status() == Some("ACTIVE"));
    found
        .and_then(|found| found.task_definition())
        .map(str::to_owned)
        .ok_or_else(|| Error::Plan(format!("the service {service} does not run in cluster {cluster}")))
}

/// Registers the live task definition with another image in the named container, and lets the service roll over to it.
///
/// Everything but the image stays as it is live, whoever set it. The service's circuit breaker stays on guard.
pub async fn swap(aws: &Aws, cluster: &str, service: &str, container: &str, image: &str) -> Result<Swap> {
    let from = live(aws, cluster, service).await?;
    let described = aws
        .ecs
        .describe_task_definition()
        .task_definition(&from)
        .include(TaskDefinitionField::Tags)
        .send()
        .await?;
    let missing = || Error::Plan(format!("the task definition {from} of {service} is not there"));
    let definition = described.task_definition().ok_or_else(missing)?;
    let mut containers = definition.container_definitions().to_vec();
    let Some(own) = containers.iter_mut().find(|found| found.name() == Some(container)) else {
        return Err(Error::Plan(format!(
            "the task definition {from} has no container {container}; a full `up` is needed"
        )));
    };
    if own.image() == Some(image) {
        return Ok(Swap::Unchanged);
    }
    own.image = Some(image.to_owned());
    let tags = described
        .tags()
        .iter()
        .filter(|tag| tag.key().is_some_and(|key| !key.starts_with("aws:")))
        .cloned();
    let tags: Vec<_> = tags.collect();
    let request = copy(aws.ecs.register_task_definition(), definition, containers);
    let registered = request.set_tags((!tags.is_empty()).then_some(tags)).send().await?;
    let to = registered
        .task_definition()
        .and_then(|made| made.task_definition_arn())
        .unwrap_or_default()
        .to_owned();
    roll(aws, cluster, service, &to).await?;
    Ok(Swap::Rolling { from, to })
}

/// Lets a service roll over to a task definition.
pub async fn roll(aws: &Aws, cluster: &str, service: &str, task_definition: &str) -> Result<()> {
    aws.ecs
        .update_service()
        .cluster(cluster)
        .service(service)
        .task_definition(task_definition)
        .send()
        .await?;
    Ok(())
}

/// Every setting of a task definition but those that ECS makes (RegisterTaskDefinition's parameters).
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
