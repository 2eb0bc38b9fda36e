//! Operations on log streams.

use serde_json::{Value, json};

use super::file::Files;
use super::model::{self, Stream, with_token};
use super::{invalid, not_found, page};
use crate::records::WriteLock;
use crate::service::Call;
use crate::{AwsError, Context};

pub fn create(cx: &Context, call: &Call) -> Result<(), AwsError> {
    let lock = cx.shared::<WriteLock>();
    let _guard = lock.lock();
    let group = model::group_of(cx, call)?;
    add(cx, &group.id, &call.required("logStreamName")?)
}

/// Creates a stream, under the [`WriteLock`].
pub fn add(cx: &Context, group: &str, stream: &str) -> Result<(), AwsError> {
    if Stream::exists(cx, group, stream)? {
        return Err(AwsError::new(
            "ResourceAlreadyExistsException",
            "The specified log stream already exists",
        ));
    }
    Stream::add(cx, group, stream)
}

pub fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let group = model::group_of(cx, call)?;
    if remove(cx, &group.id, &call.required("logStreamName")?)? {
        return Ok(json!({}));
    }
    Err(not_found("stream"))
}

/// Deletes a stream with its events. Returns false if it does not exist.
pub fn remove(cx: &Context, group: &str, stream: &str) -> Result<bool, AwsError> {
    let existed = Stream::delete(cx, group, stream)?;
    if existed {
        cx.extension::<Files>().delete(cx, group, Some(stream))?;
    }
    Ok(existed)
}

/// Deletes the streams of a group that is being deleted.
pub fn delete_all(cx: &Context, group: &str) -> Result<(), AwsError> {
    for (name, _) in Stream::list(cx, group)? {
        Stream::delete(cx, group, &name)?;
    }
    Ok(cx.extension::<Files>().delete(cx, group, None)?)
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let group = model::group_of(cx, call)?;
    let prefix = call.text("logStreamNamePrefix").unwrap_or_default();
    let mut streams = Vec::new();
    for (name, stream) in Stream::list(cx, &group.id)? {
        if name.starts_with(&prefix) {
            streams.push(description(cx, &group.id, &name, &stream)?);
        }
    }
    let order = call.text("orderBy").unwrap_or_else(|| "LogStreamName".into());
    if !["LogStreamName", "LastEventTime"].contains(&order.as_str()) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{order}' at 'orderBy' failed to satisfy constraint: Member must satisfy enum \
             value set: [LogStreamName, LastEventTime]"
        )));
    }
    if order == "LastEventTime" {
        if !prefix.is_empty() {
            return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        streams.sort_by_key(|stream| stream["lastEventTimestamp"].as_i64());
    }
    if call.boolean("descending") == Some(true) {
        streams.reverse();
    }
    let limit = super::limit(call, 50, 50)?;
    let (streams, next) = page(streams, limit, call.text("nextToken").as_deref())?;
    Ok(with_token(json!({"logStreams": streams}), next))
}

fn description(cx: &Context, group: &str, name: &str, stream: &Stream) -> Result<Value, AwsError> {
    let file = cx.extension::<Files>().open(cx, group, name)?;
    let file = file.lock();
    let mut description = json!({
        "logStreamName": name, "creationTime": stream.created, "storedBytes": 0,
        "arn": format!("{}:log-stream:{name}", model::group_arn(cx, group)),
    });
    if let Some((first, last)) = file.time_span() {
        description["uploadSequenceToken"] = format!("{:056}", file.end()).into();
        description["firstEventTimestamp"] = first.into();
        description["lastEventTimestamp"] = last.into();
        description["lastIngestionTime"] = file.last_ingested.into();
    }
    Ok(description)
}
