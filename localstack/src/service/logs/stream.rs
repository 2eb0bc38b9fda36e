//! Log streams.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::file::Files;
use super::group::{self, with_token};
use super::{invalid, missing};
use crate::records::{WriteLock, now, page};
use crate::service::Call;
use crate::{AwsError, Context};

/// A stream of a group; its events are in its file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Stream {
    /// Milliseconds since 1970.
    created: i64,
}

pub fn exists(cx: &Context, group: &str, stream: &str) -> Result<bool, AwsError> {
    Ok(cx.store().get::<Stream>(&collection(group), stream)?.is_some())
}

/// The names of a group's streams, in order.
pub fn names(cx: &Context, group: &str) -> Result<Vec<String>, AwsError> {
    Ok(cx
        .store()
        .list::<Stream>(&collection(group))?
        .into_iter()
        .map(|(name, _)| name)
        .collect())
}

pub fn add(cx: &Context, group: &str, stream: &str) -> Result<(), AwsError> {
    if stream.is_empty() || stream.len() > 512 || stream.contains([':', '*']) {
        return Err(invalid(format!(
            "'{stream}' cannot name a log stream: 1 to 512 characters without ':' and '*'"
        )));
    }
    Ok(cx.store().put(&collection(group), stream, &Stream { created: now() })?)
}

pub fn create(cx: &Context, call: &Call) -> Result<(), AwsError> {
    let lock = cx.extension::<WriteLock>();
    let _guard = lock.lock();
    let group = group::named(cx, call)?;
    let stream = call.required("logStreamName")?;
    if exists(cx, &group.id, &stream)? {
        return Err(AwsError::new(
            "ResourceAlreadyExistsException",
            "The specified log stream already exists",
        ));
    }
    add(cx, &group.id, &stream)
}

pub fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let group = group::named(cx, call)?;
    let stream = call.required("logStreamName")?;
    if !cx.store().delete(&collection(&group.id), &stream)? {
        return Err(missing("stream"));
    }
    cx.extension::<Files>().forget(cx, &group.id, Some(&stream))?;
    Ok(json!({}))
}

pub fn forget_group(cx: &Context, group: &str) -> Result<(), AwsError> {
    for stream in names(cx, group)? {
        cx.store().delete(&collection(group), &stream)?;
    }
    Ok(cx.extension::<Files>().forget(cx, group, None)?)
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let group = group::named(cx, call)?;
    let prefix = call.text("logStreamNamePrefix").unwrap_or_default();
    let mut streams = Vec::new();
    for (name, stream) in cx.store().list::<Stream>(&collection(&group.id))? {
        if name.starts_with(&prefix) {
            streams.push(description(cx, &group.id, &name, &stream)?);
        }
    }
    if call.text("orderBy").as_deref() == Some("LastEventTime") {
        if !prefix.is_empty() {
            return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        streams.sort_by_key(|stream| stream["lastEventTimestamp"].as_i64());
    }
    if call.boolean("descending") == Some(true) {
        streams.reverse();
    }
    let limit = call.integer("limit").unwrap_or(50).clamp(1, 50) as usize;
    let (streams, next) = page(streams, limit, call.text("nextToken").as_deref())?;
    Ok(with_token(json!({"logStreams": streams}), next))
}

fn description(cx: &Context, group: &str, name: &str, stream: &Stream) -> Result<Value, AwsError> {
    let file = cx.extension::<Files>().of(cx, group, name)?;
    let file = file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut answer = json!({
        "logStreamName": name, "creationTime": stream.created, "storedBytes": 0,
        "arn": format!("{}:log-stream:{name}", group::arn(cx, group)), "uploadSequenceToken": file.end().to_string(),
    });
    if let Some((first, last)) = file.span() {
        answer["firstEventTimestamp"] = first.into();
        answer["lastEventTimestamp"] = last.into();
        answer["lastIngestionTime"] = file.last_ingested.into();
    }
    Ok(answer)
}

/// One collection for each group, so that a group's streams are found without the others'.
fn collection(group: &str) -> String {
    format!("logs.streams:{group}")
}
