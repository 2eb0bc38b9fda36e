//! CloudWatch Logs: log groups and their lines.

use std::collections::HashMap;
use std::hash::BuildHasher;

use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;

use crate::error::{Error, Result};
use crate::session::Session;

/// A log group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroup {
    /// The name, such as `/ecs/shop-dev/api`.
    pub name: String,
    /// `None` if its lines never expire.
    pub retention_days: Option<i32>,
}

/// One line of a log.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// The ID, unique in the log group.
    pub id: String,
    /// Milliseconds since 1970.
    pub time: i64,
    /// The name of the log stream.
    pub stream: String,
    /// The line that was logged.
    pub message: String,
}

impl From<FilteredLogEvent> for LogLine {
    fn from(event: FilteredLogEvent) -> Self {
        let message = event.message().unwrap_or_default().trim_end().to_owned();
        let time = event.timestamp().unwrap_or_default();
        let stream = event.log_stream_name().unwrap_or_default().to_owned();
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

/// Returns the log groups whose names have this prefix.
///
/// # Errors
/// The request fails.
pub async fn groups(aws: &Session, prefix: &str) -> Result<Vec<LogGroup>> {
    let request = aws.logs.describe_log_groups().log_group_name_prefix(prefix);
    let mut pages = request.into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(group) = pages.next().await {
        let group = group?;
        found.push(LogGroup {
            name: group.log_group_name().unwrap_or_default().to_owned(),
            retention_days: group.retention_in_days(),
        });
    }
    Ok(found)
}

/// Sets the days after which the lines of a log group expire.
///
/// # Errors
/// The request fails.
pub async fn set_retention(aws: &Session, name: &str, days: u32) -> Result<()> {
    let request = aws.logs.put_retention_policy().log_group_name(name);
    request
        .retention_in_days(i32::try_from(days).unwrap_or(i32::MAX))
        .send()
        .await?;
    Ok(())
}

/// Deletes a log group.
///
/// # Errors
/// The request fails.
pub async fn delete_group(aws: &Session, name: &str) -> Result<()> {
    let request = aws.logs.delete_log_group().log_group_name(name);
    request.send().await?;
    Ok(())
}

/// Returns the lines of a group since `start` (milliseconds since 1970) that are not in `known`, and adds them there; empty if the
/// group does not exist.
///
/// # Errors
/// The request fails.
pub async fn new_lines(
    aws: &Session,
    group: &str,
    start: i64,
    known: &mut HashMap<String, i64, impl BuildHasher>,
) -> Result<Vec<LogLine>> {
    let request = aws.logs.filter_log_events().log_group_name(group).start_time(start);
    let mut pages = request.into_paginator().send();
    let mut lines = Vec::new();
    while let Some(page) = pages.next().await {
        match page.map_err(Error::from) {
            Ok(page) => {
                let found = page.events.unwrap_or_default().into_iter().map(LogLine::from);
                lines.extend(found.filter(|line| known.insert(line.id.clone(), line.time).is_none()));
            }
            Err(error) if error.is_not_found() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(lines)
}
