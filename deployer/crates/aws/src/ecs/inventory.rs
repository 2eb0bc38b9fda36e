//! Clusters, services, tasks and task definitions, whether or not a stack owns them.

use aws_sdk_ecs::types::{DesiredStatus, TaskDefinitionStatus};

use crate::error::{Error, Result};
use crate::session::Session;

/// Maximum tasks of one `DescribeTasks` request.
const MAX_TASKS: usize = 100;

/// A running task that belongs to no service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandaloneTask {
    /// The ARN of the task.
    pub arn: String,
    /// The deployment, such as `ecs-svc/…`, or the caller that started it.
    pub started_by: Option<String>,
}

/// Returns the names of those of these clusters that are active.
///
/// # Errors
/// The request fails.
pub async fn active_clusters(aws: &Session, names: Vec<String>) -> Result<Vec<String>> {
    let response = aws.ecs.describe_clusters().set_clusters(Some(names)).send().await?;
    let active = response.clusters().iter().filter(|one| one.status() == Some("ACTIVE"));
    let names = active.filter_map(|cluster| cluster.cluster_name());
    Ok(names.map(str::to_owned).collect())
}

/// Returns the names of the clusters of this name that are not deleted; empty if there is none.
///
/// # Errors
/// The request fails.
pub async fn existing_clusters(aws: &Session, name: &str) -> Result<Vec<String>> {
    let response = match aws.ecs.describe_clusters().clusters(name).send().await {
        Ok(response) => response,
        Err(error) => match Error::from(error) {
            error if error.is_not_found() => return Ok(Vec::new()),
            error => return Err(error),
        },
    };
    let clusters = response.clusters().iter();
    let existing = clusters.filter(|cluster| cluster.status() != Some("INACTIVE"));
    let names = existing.filter_map(|cluster| cluster.cluster_name());
    Ok(names.map(str::to_owned).collect())
}

/// Returns the ARNs of the active revisions of a family.
///
/// # Errors
/// The request fails.
pub async fn task_definitions(aws: &Session, family: &str) -> Result<Vec<String>> {
    let request = aws.ecs.list_task_definitions().family_prefix(family);
    let request = request.status(TaskDefinitionStatus::Active);
    let pages = request.into_paginator().items().send();
    Ok(pages.collect::<Result<_, _>>().await?)
}

/// Deregisters a revision of a task definition.
///
/// # Errors
/// The request fails.
pub async fn deregister_task_definition(aws: &Session, arn: &str) -> Result<()> {
    let request = aws.ecs.deregister_task_definition().task_definition(arn);
    request.send().await?;
    Ok(())
}

/// Returns the ARNs of the services in a cluster.
///
/// # Errors
/// The request fails.
pub async fn list_services(aws: &Session, cluster: &str) -> Result<Vec<String>> {
    let pages = aws.ecs.list_services().cluster(cluster).into_paginator().items().send();
    Ok(pages.collect::<Result<_, _>>().await?)
}

/// Returns the running tasks of a cluster that belong to no service.
///
/// # Errors
/// A request fails.
pub async fn standalone_tasks(aws: &Session, cluster: &str) -> Result<Vec<StandaloneTask>> {
    let request = aws
        .ecs
        .list_tasks()
        .cluster(cluster)
        .desired_status(DesiredStatus::Running);
    let pages = request.into_paginator().items().send();
    let arns: Vec<String> = pages.collect::<Result<_, _>>().await?;
    let mut found = Vec::new();
    for page in arns.chunks(MAX_TASKS) {
        let request = aws.ecs.describe_tasks().cluster(cluster).set_tasks(Some(page.to_vec()));
        for task in request.send().await?.tasks() {
            // The group of a service's task is the service, whether or not a stack owns it.
            if task.group().is_none_or(|group| !group.starts_with("service:")) {
                found.push(StandaloneTask {
                    arn: task.task_arn().unwrap_or_default().to_owned(),
                    started_by: task.started_by().map(str::to_owned),
                });
            }
        }
    }
    Ok(found)
}
