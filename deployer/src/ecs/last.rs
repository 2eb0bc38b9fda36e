//! Why the last task of a service stopped, long after it was deployed.

use std::collections::HashSet;

use aws_sdk_ecs::types::DesiredStatus;

use super::stopped::StoppedTask;
use super::{diagnose, service_of, tail};
use crate::error::Result;
use crate::target::Aws;

/// How many of its log lines are read.
const LINES: usize = 5;

/// The task of this service (by ARN) that failed last, with its last words. ECS remembers stopped tasks for about an hour
/// ("Viewing Amazon ECS stopped task errors").
pub async fn failure(aws: &Aws, arn: &str) -> Result<Option<StoppedTask>> {
    let (cluster, service) = service_of(arn).unwrap_or(("default", arn));
    let mut found = diagnose::tasks(aws, cluster, service, DesiredStatus::Stopped, &HashSet::new()).await?;
    found.sort_by_key(|task| std::cmp::Reverse(task.stopped_at().map_or(0, |at| at.secs())));
    for task in &found {
        if let Some(mut stopped) = StoppedTask::of(service, task, 0.0) {
            // A log that is gone is no reason to keep silent about the rest.
            stopped.log = tail::of_task(aws, task, LINES).await.unwrap_or_default();
            return Ok(Some(stopped));
        }
    }
    Ok(None)
}
