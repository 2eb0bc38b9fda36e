//! The last failed task of a service, long after its deployment.

use std::cmp::Reverse;
use std::collections::HashSet;

use aws_sdk_ecs::types::DesiredStatus;

use super::stopped_task::StoppedTask;
use super::{diagnose, logs, service_of};
use crate::error::Result;
use crate::session::Session;

/// Maximum log lines that are read.
const MAX_LOG_LINES: usize = 5;

/// Returns the task of a service (by ARN) that failed last, with its last log lines. ECS keeps stopped tasks for about an hour
/// ("Viewing Amazon ECS stopped task errors").
///
/// # Errors
/// A request fails.
pub async fn last_failure(aws: &Session, arn: &str) -> Result<Option<StoppedTask>> {
    let (cluster, service) = service_of(arn).unwrap_or(("default", arn));
    let mut found = diagnose::tasks(aws, cluster, service, DesiredStatus::Stopped, &HashSet::new()).await?;
    found.sort_by_key(|task| {
        Reverse(
            task.stopped_at()
                .map_or(0, aws_sdk_cloudformation::primitives::DateTime::secs),
        )
    });
    for task in &found {
        if let Some(mut stopped) = StoppedTask::new(service, task, 0.0) {
            // The log group may have been deleted.
            stopped.log = logs::task_log(aws, task, MAX_LOG_LINES).await.unwrap_or_default();
            return Ok(Some(stopped));
        }
    }
    Ok(None)
}
