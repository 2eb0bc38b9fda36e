//! What services log, from CloudWatch Logs.

use std::collections::HashMap;

use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use aws_sdk_ecs::types::Task;

use crate::error::{Error, Result};
use crate::target::Aws;

/// One line of a service's log.
#[derive(Debug, Clone)]
pub struct Line {
    pub id: String,
    /// Milliseconds since 1970.
    pub time: i64,
    pub stream: String,
    pub message: String,
}

impl From<FilteredLogEvent> for Line {
    fn from(event: FilteredLogEvent) -> Self {
        let message = event.message().unwrap_or_default().trim_end().to_owned();
        let (time, stream) = (
            event.timestamp().unwrap_or_default(),
            event.log_stream_name().unwrap_or_default().to_owned(),
        );
        let id = event
            .event_id()
            .map_or_else(|| format!("{time}/{stream}/{message}"), str::to_owned);
        Self {
            id,
            time,
            stream,
            message,
        }
    }
}

/// The lines of a group from this time on (milliseconds since 1970) that `known` does not hold; it learns them.
pub async fn since(aws: &Aws, group: &str, from: i64, known: &mut HashMap<String, i64>) -> Result<Vec<Line>> {
    let request = aws.logs.filter_log_events().log_group_name(group).start_time(from);
    let mut pages = request.into_paginator().send();
    let mut lines = Vec::new();
    while let Some(page) = pages.next().await {
        match page.map_err(Error::from) {
            Ok(page) => {
                let fresh = page.events.unwrap_or_default().into_iter().map(Line::from);
                lines.extend(fresh.filter(|line| known.insert(line.id.clone(), line.time).is_none()));
            }
            Err(error) if error.is_missing() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(lines)
}

/// The last lines of a task, found through the awslogs options of its definition.
pub async fn of_task(aws: &Aws, task: &Task, count: usize) -> Result<Vec<String>> {
    let definition = task.task_definition_arn().unwrap_or_default();
    let described = aws
        .ecs
        .describe_task_definition()
        .task_definition(definition)
        .send()
        .await?;
    let id = task
        .task_arn()
        .unwrap_or_default()
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let mut lines = Vec::new();
    for container in described
        .task_definition()
        .map(|d| d.container_definitions())
        .unwrap_or_default()
    {
        let Some(options) = container.log_configuration().and_then(|log| log.options()) else {
            continue;
        };
        let (Some(group), Some(prefix)) = (options.get("awslogs-group"), options.get("awslogs-stream-prefix")) else {
            continue;
        };
        let stream = format!("{prefix}/{}/{id}", container.name().unwrap_or_default());
        let count = i32::try_from(count).unwrap_or(20);
        let request = aws
            .logs
            .get_log_events()
            .log_group_name(group)
            .log_stream_name(stream)
            .limit(count);
        let answer = request.start_from_head(false).send().await?;
        lines.extend(
            answer
                .events()
                .iter()
                .filter_map(|event| event.message())
                .map(|m| m.trim_end().to_owned()),
        );
    }
    let skip = lines.len().saturating_sub(count);
    Ok(lines.split_off(skip))
}
