//! CloudWatch Logs: groups and streams as records, events in append-only files.

mod events;
mod file;
mod group;
mod metric_filter;
mod model;
mod pattern;
mod stream;
mod stream_type;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

pub use events::append;

use crate::records::record_type;
use crate::service::Call;
use crate::{AwsError, Context, ResourceType, Service};

pub fn service() -> Arc<dyn Service> {
    Arc::new(Logs)
}

struct Logs;

#[async_trait]
impl Service for Logs {
    fn name(&self) -> &'static str {
        "logs"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![
            record_type::<group::LogGroup>(),
            record_type::<metric_filter::MetricFilter>(),
            Arc::new(stream_type::LogStream),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "CreateLogGroup" => group::create(cx, &call).await,
            "DeleteLogGroup" => group::delete(cx, &call),
            "DescribeLogGroups" => group::describe(cx, &call),
            "PutRetentionPolicy" | "DeleteRetentionPolicy" => group::set_retention(cx, &call),
            "TagResource" | "UntagResource" | "ListTagsForResource" => group::tags(cx, &call),
            "CreateLogStream" => stream::create(cx, &call).map(|()| json!({})),
            "DeleteLogStream" => stream::delete(cx, &call),
            "DescribeLogStreams" => stream::describe(cx, &call),
            "PutLogEvents" => events::put(cx, &call),
            "GetLogEvents" => events::get(cx, &call),
            "FilterLogEvents" => events::filter(cx, &call),
            "PutMetricFilter" => metric_filter::put(cx, &call).await,
            "DeleteMetricFilter" => metric_filter::delete(cx, &call).await,
            "DescribeMetricFilters" => metric_filter::describe(cx, &call),
            "TestMetricFilter" => metric_filter::test(&call),
            other => Err(AwsError::not_implemented("logs", other)),
        }
    }
}

fn not_found(what: &str) -> AwsError {
    AwsError::new(
        "ResourceNotFoundException",
        format!("The specified log {what} does not exist."),
    )
}

/// Returns the size of a page.
///
/// # Errors
/// `InvalidParameterException` if it is outside `1..=max`.
fn limit(call: &Call, default: usize, max: usize) -> Result<usize, AwsError> {
    crate::service::input::limit(call, "limit", default, 1..=max).ok_or_else(|| {
        let given = call.text("limit").unwrap_or_default();
        invalid(format!(
            "1 validation error detected: Value '{given}' at 'limit' failed to satisfy constraint: it must be 1 to {max}"
        ))
    })
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterException", message)
}
