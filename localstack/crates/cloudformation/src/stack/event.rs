//! Stack events.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::{Stack, StackResource, format};
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

/// The time of each stack's last event, in milliseconds. No two events of a stack have the same, since clients sort them by it.
#[derive(Default)]
struct LastEvents(Mutex<HashMap<String, i64>>);

impl LastEvents {
    fn next(&self, stack_id: &str) -> i64 {
        let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        let mut events = self.0.lock();
        let last = events.entry(stack_id.to_owned()).or_default();
        *last = i64::try_from(now).unwrap_or_default().max(*last + 1);
        *last
    }
}

impl Stack {
    /// Records an event with the current status of a resource, or of the stack if `resource` is `None`.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn record_event(&self, cx: &Context, resource: Option<&StackResource>) -> anyhow::Result<()> {
        let nanos = i128::from(cx.extension::<LastEvents>().next(&self.id)) * 1_000_000;
        let at = OffsetDateTime::from_unix_timestamp_nanos(nanos)?;
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
            timestamp: format(at),
            resource_status: resource.map_or(&self.status, |r| &r.status).clone(),
            resource_status_reason: resource.map_or(&self.reason, |r| &r.reason).clone(),
            client_request_token: self.token.clone(),
        };
        cx.store().put(&collection(&self.id), &format!("{nanos:020}"), &event)
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
    cx.extension::<LastEvents>().0.lock().remove(stack_id);
    for (number, _) in cx.store().list::<Value>(&collection)? {
        cx.store().delete(&collection, &number)?;
    }
    Ok(())
}

fn collection(stack_id: &str) -> String {
    format!("cloudformation.events.{stack_id}")
}
