//! `DescribeStackEvents`.

use serde_json::{Value, json};

use crate::stack;
use endpoint_core::{AwsError, Call, Context};

/// Returns the events of a stack, newest first, a hundred on each page.
pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("StackName")?;
    let missing = || AwsError::validation(format!("Stack [{name}] does not exist"));
    let stack = stack::find(cx, &name)?.ok_or_else(missing)?;
    let mut events = stack::events(cx, &stack.id)?;
    events.reverse();
    // The token is the id of the last event, so that new events do not shift the pages.
    let from = match call.text("NextToken") {
        None => 0,
        Some(token) => {
            let last = events.iter().position(|e| e.event_id == token);
            last.ok_or_else(|| AwsError::validation("The NextToken is not valid."))? + 1
        }
    };
    let page = &events[from..(from + 100).min(events.len())];
    let next = page
        .last()
        .filter(|_| from + page.len() < events.len())
        .map(|e| e.event_id.clone());
    let shown: Vec<Value> = page.iter().filter_map(|e| serde_json::to_value(e).ok()).collect();
    Ok(json!({"StackEvents": shown, "NextToken": next}))
}
