//! Stack events.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::{Stack, StackResource, now};
use endpoint_core::Context;

/// The resource type in the events of a stack itself.
const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// One stack event, as `DescribeStackEvents` returns it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StackEvent {
    /// Unique; contains the logical id for resources.
    pub event_id: String,
    /// ARN of the stack.
    pub stack_id: String,
    /// Name of the stack.
    pub stack_name: String,
    /// Key in the template; the name of the stack for the stack itself.
    pub logical_resource_id: String,
    /// Unknown until the creation is initiated.
    pub physical_resource_id: Option<String>,
    /// Such as `AWS::ECS::Service`.
    pub resource_type: String,
    /// RFC 3339, UTC.
    pub timestamp: String,
    /// Such as `CREATE_FAILED`.
    pub resource_status: String,
    /// Text for people; the first failure has the cause.
    pub resource_status_reason: Option<String>,
    /// The token of the operation.
    pub client_request_token: Option<String>,
}

/// The number of the last event; numbers only increase.
#[derive(Default)]
struct LastEvent(AtomicU64);

impl Stack {
    /// Records an event with the current status of a resource, or of the stack if `resource` is `None`.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn record_event(&self, cx: &Context, resource: Option<&StackResource>) -> anyhow::Result<()> {
        let last = cx.extension::<LastEvent>();
        let nanos = u64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos()).unwrap_or_default();
        let next = |last: u64| nanos.max(last + 1);
        let last = last
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last)));
        let number = next(last.unwrap_or_default());
        let event = StackEvent {
            event_id: match resource {
                Some(resource) => format!("{}-{}", resource.logical_id, uuid::Uuid::new_v4()),
                None => uuid::Uuid::new_v4().to_string(),
            },
            stack_id: self.id.clone(),
            stack_name: self.name.clone(),
            logical_resource_id: resource.map_or(&self.name, |r| &r.logical_id).clone(),
            physical_resource_id: resource.map_or_else(|| Some(self.id.clone()), |r| r.physical_id.clone()),
            resource_type: resource.map_or(STACK_TYPE, |r| &r.resource_type).to_owned(),
            timestamp: now(),
            resource_status: resource.map_or(&self.status, |r| &r.status).clone(),
            resource_status_reason: resource.map_or(&self.reason, |r| &r.reason).clone(),
            client_request_token: self.token.clone(),
        };
        cx.store().put(&collection(&self.id), &format!("{number:020}"), &event)
    }
}

/// Returns a stack's events, oldest first.
///
/// # Errors
/// When the state cannot be read.
pub fn events(cx: &Context, stack_id: &str) -> anyhow::Result<Vec<StackEvent>> {
    let events = cx.store().list(&collection(stack_id))?;
    Ok(events.into_iter().map(|(_, event)| event).collect())
}

/// Deletes a stack's events.
pub fn delete_all(cx: &Context, stack_id: &str) -> anyhow::Result<()> {
    let collection = collection(stack_id);
    for (number, _) in cx.store().list::<Value>(&collection)? {
        cx.store().delete(&collection, &number)?;
    }
    Ok(())
}

fn collection(stack_id: &str) -> String {
    format!("cloudformation.events.{stack_id}")
}
