//! CloudWatch Logs: groups and streams as records, events in append-only files.

mod events;
mod file;
mod group;
mod metric_filter;
mod model;
mod pattern;
mod resource_policy;
mod stream;
mod stream_type;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

pub use events::append;

use crate::records::{self, record_type};
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
            record_type::<resource_policy::ResourcePolicy>(),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "CreateLogGroup" => group::create(cx, &call).await,
            "DeleteLogGroup" => group::delete(cx, &call),
            "DescribeLogGroups" => group::describe(cx, &call),
            "PutRetentionPolicy" | "DeleteRetentionPolicy" => group::set_retention(cx, &call),
            "TagResource"
            | "UntagResource"
            | "ListTagsForResource"
            | "TagLogGroup"
            | "UntagLogGroup"
            | "ListTagsLogGroup" => group::tags(cx, &call),
            "PutResourcePolicy" | "DescribeResourcePolicies" | "DeleteResourcePolicy" => {
                resource_policy::call(cx, &call)
            }
            "DescribeSubscriptionFilters" | "PutSubscriptionFilter" | "DeleteSubscriptionFilter" => {
                subscription_filters(cx, &call)
            }
            // A destination needs a stream of Kinesis or Firehose, which are not here, so that there is none.
            "DescribeDestinations" => Ok(json!({"destinations": []})),
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

/// The operations on subscription filters. A filter needs a stream of Kinesis or Firehose or a Lambda function, which are not here,
/// so that `PutSubscriptionFilter` is refused and a group has none.
fn subscription_filters(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    model::group_of(cx, call)?;
    match call.operation.as_str() {
        "DescribeSubscriptionFilters" => Ok(json!({"subscriptionFilters": []})),
        "DeleteSubscriptionFilter" => Err(AwsError::new(
            "ResourceNotFoundException",
            "The specified subscription filter does not exist.",
        )),
        operation => Err(AwsError::not_implemented("logs", operation)),
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
        let bound = if given.starts_with(['0', '-']) {
            "greater than or equal to 1".to_owned()
        } else {
            format!("less than or equal to {max}")
        };
        invalid(format!(
            "1 validation error detected: Value '{given}' at 'limit' failed to satisfy constraint: Member must have value {bound}"
        ))
    })
}

/// Returns one page of a list.
///
/// # Errors
/// `InvalidParameterException` for an unknown token.
fn page<T>(items: Vec<T>, limit: usize, token: Option<&str>) -> Result<(Vec<T>, Option<String>), AwsError> {
    records::page(items, limit, token).map_err(|_| invalid("The specified nextToken is invalid."))
}

/// Checks a name by its length and its characters, `pattern` being how AWS writes them.
///
/// # Errors
/// `InvalidParameterException` that names the member.
fn check_name(member: &str, name: &str, pattern: &str, allowed: impl Fn(char) -> bool) -> Result<(), AwsError> {
    let constraint = if name.is_empty() {
        "Member must have length greater than or equal to 1".to_owned()
    } else if name.chars().count() > 512 {
        "Member must have length less than or equal to 512".to_owned()
    } else if name.chars().all(allowed) {
        return Ok(());
    } else {
        format!("Member must satisfy regular expression pattern: {pattern}")
    };
    Err(invalid(format!(
        "1 validation error detected: Value '{name}' at '{member}' failed to satisfy constraint: {constraint}"
    )))
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterException", message)
}
