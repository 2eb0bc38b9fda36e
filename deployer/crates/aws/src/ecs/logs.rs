//! Log lines of a task.

use aws_sdk_ecs::types::Task;

use crate::error::Result;
use crate::session::Session;

/// Returns the last lines of a task's log, found through the awslogs options of its task definition.
pub async fn task_log(aws: &Session, task: &Task, count: usize) -> Result<Vec<String>> {
    let definition = task.task_definition_arn().unwrap_or_default();
    let request = aws.ecs.describe_task_definition().task_definition(definition);
    let described = request.send().await?;
    let containers = described
        .task_definition()
        .map(|definition| definition.container_definitions())
        .unwrap_or_default();
    let arn = task.task_arn().unwrap_or_default();
    let id = arn.rsplit('/').next().unwrap_or_default();
    let mut lines = Vec::new();
    for container in containers {
        let Some(options) = container.log_configuration().and_then(|log| log.options()) else {
            continue;
        };
        let (Some(group), Some(prefix)) = (options.get("awslogs-group"), options.get("awslogs-stream-prefix")) else {
            continue;
        };
        let stream = format!("{prefix}/{}/{id}", container.name().unwrap_or_default());
        let request = aws.logs.get_log_events().log_group_name(group).log_stream_name(stream);
        let request = request.limit(i32::try_from(count).unwrap_or(20)).start_from_head(false);
        let response = request.send().await?;
        let messages = response.events().iter().filter_map(|event| event.message());
        lines.extend(messages.map(|message| message.trim_end().to_owned()));
    }
    let skip = lines.len().saturating_sub(count);
    Ok(lines.split_off(skip))
}
