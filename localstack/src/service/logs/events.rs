//! Operations on events: writing, reading one stream, and searching many.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::file::{Event, Files, StreamFile};
use super::model::{self, Stream, retained_since, with_token};
use super::pattern::Pattern;
use super::{invalid, not_found};
use crate::records::{Record, WriteLock, now};
use crate::service::Call;
use crate::{AwsError, Context};

/// AWS's limit of the messages in one response.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// Writes events of a task, and creates the stream if it does not exist. Events are `(milliseconds since 1970, line)`,
/// ordered by time.
///
/// # Errors
/// Returns `ResourceNotFoundException` if the group does not exist, and an internal error if the events cannot be
/// written.
pub fn append(cx: &Context, group: &str, stream: &str, events: &[(i64, String)]) -> Result<(), AwsError> {
    model::group(cx, group)?;
    if !Stream::exists(cx, group, stream)? {
        let lock = cx.shared::<WriteLock>();
        let _guard = lock.lock();
        Stream::add(cx, group, stream)?;
    }
    with_file(cx, group, stream, |file| file.append(events, now()))
}

pub fn put(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let group = model::group_of(cx, call)?;
    let name = call.required("logStreamName")?;
    if !Stream::exists(cx, &group.id, &name)? {
        return Err(not_found("stream"));
    }
    let read = |event: &Value| {
        Some((
            event.get("timestamp")?.as_i64()?,
            event.get("message")?.as_str()?.to_owned(),
        ))
    };
    let events: Option<Vec<_>> = call.list("logEvents").iter().map(read).collect();
    let events = events.ok_or_else(|| invalid("Each of logEvents needs a timestamp and a message."))?;
    if events.is_empty() || events.len() > 10_000 {
        return Err(invalid("logEvents must have 1 to 10,000 events."));
    }
    if !events.is_sorted_by_key(|(timestamp, _)| *timestamp) {
        return Err(invalid(
            "Log events in a single PutLogEvents request must be in chronological order.",
        ));
    }
    let (accepted, rejected) = accepted(&events, &group);
    let next = with_file(cx, &group.id, &name, |file| {
        file.append(&events[accepted], now())?;
        Ok(file.end())
    })?;
    let mut response = json!({"nextSequenceToken": format!("{next:056}")});
    if let Some(rejected) = rejected {
        response["rejectedLogEventsInfo"] = rejected;
    }
    Ok(response)
}

/// Returns the range of the events that are neither older than 14 days or the group's retention period nor more than 2 hours
/// ahead, and the description of the others (`PutLogEvents`, `RejectedLogEventsInfo`).
fn accepted(events: &[(i64, String)], group: &Record) -> (std::ops::Range<usize>, Option<Value>) {
    let before = |limit: i64| events.partition_point(|(timestamp, _)| *timestamp < limit);
    let old = before(now() - 14 * 86_400_000);
    let expired = retained_since(group).map_or(0, before);
    let new = before(now() + 2 * 3_600_000 + 1);
    let mut info = serde_json::Map::new();
    if new < events.len() {
        info.insert("tooNewLogEventStartIndex".into(), new.into());
    }
    for (member, end) in [("tooOldLogEventEndIndex", old), ("expiredLogEventEndIndex", expired)] {
        if end > 0 {
            info.insert(member.into(), end.into());
        }
    }
    let start = old.max(expired);
    (start..new.max(start), (!info.is_empty()).then_some(Value::Object(info)))
}

pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let group = model::group_of(cx, call)?;
    let name = call.required("logStreamName")?;
    if !Stream::exists(cx, &group.id, &name)? {
        return Err(not_found("stream"));
    }
    let (start, end) = time_range(call, &group);
    let limit = super::limit(call, 10_000, 10_000)?;
    let token = call.text("nextToken");
    let (forward, from) = match token
        .as_deref()
        .map(|t| (t.get(..2), t.get(2..).and_then(|n| n.parse::<u64>().ok())))
    {
        None => (call.boolean("startFromHead").unwrap_or(false), None),
        Some((Some("f/"), Some(offset))) => (true, Some(offset)),
        Some((Some("b/"), Some(offset))) => (false, Some(offset)),
        Some(_) => return Err(invalid("The specified nextToken is invalid.")),
    };
    let in_range = |event: &Event| (start..end).contains(&event.timestamp);
    let (events, first, last) = with_file(cx, &group.id, &name, |file| {
        let mut found: VecDeque<Event> = VecDeque::new();
        let mut remaining_bytes = MAX_RESPONSE_BYTES;
        let mut edge = from.unwrap_or(if forward { 0 } else { file.end() });
        let origin = edge.min(file.end());
        'read: while let Some(mut block) = if forward {
            file.next_block(edge, start, end)?
        } else {
            file.previous_block(edge, start, end)?
        } {
            if !forward {
                block.reverse();
            }
            let Some(outermost) = block.last() else { break };
            edge = if forward { outermost.end } else { outermost.offset };
            for event in block.into_iter().filter(in_range) {
                if found.len() == limit || event.message.len() > remaining_bytes {
                    break 'read;
                }
                remaining_bytes -= event.message.len();
                if forward {
                    found.push_back(event);
                } else {
                    found.push_front(event);
                }
            }
        }
        let first = found.front().map_or(origin, |event| event.offset);
        let last = found.back().map_or(origin, |event| event.end);
        Ok((found, first, last))
    })?;
    let shown = |e: Event| json!({"timestamp": e.timestamp, "ingestionTime": e.ingested, "message": e.message});
    let events: Vec<Value> = events.into_iter().map(shown).collect();
    Ok(json!({"events": events, "nextForwardToken": format!("f/{last}"), "nextBackwardToken": format!("b/{first}")}))
}

pub fn filter(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let group = model::group_of(cx, call)?;
    let pattern = Pattern::parse(&call.text("filterPattern").unwrap_or_default())?;
    let (start, end) = time_range(call, &group);
    let limit = super::limit(call, 10_000, 10_000)?;
    let mut offsets = offsets(call)?;
    let mut cursors = Vec::new();
    for name in searched_streams(cx, call, &group.id)? {
        let from = offsets.remove(&name).unwrap_or_default();
        cursors.push(Cursor {
            name,
            from,
            ready: VecDeque::new(),
        });
    }
    let mut found = Vec::new();
    let mut remaining_bytes = MAX_RESPONSE_BYTES;
    loop {
        for cursor in &mut cursors {
            cursor.fill(cx, &group.id, start, end, &pattern)?;
        }
        let earliest = cursors
            .iter_mut()
            .filter(|c| !c.ready.is_empty())
            .min_by_key(|c| c.ready[0].timestamp);
        let Some(cursor) = earliest else { break };
        if found.len() == limit || cursor.ready[0].message.len() > remaining_bytes {
            let offsets: BTreeMap<&str, u64> = cursors.iter().map(|c| (c.name.as_str(), c.offset())).collect();
            let token = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&offsets).map_err(anyhow::Error::from)?);
            return Ok(search_result(&found, Some(token)));
        }
        let Some(event) = cursor.ready.pop_front() else { break };
        cursor.from = event.end;
        remaining_bytes -= event.message.len();
        found.push(json!({
            "logStreamName": cursor.name, "timestamp": event.timestamp, "ingestionTime": event.ingested,
            "eventId": event_id(&cursor.name, &event), "message": event.message,
        }));
    }
    Ok(search_result(&found, None))
}

/// The position of a search in one stream.
struct Cursor {
    name: String,
    /// The offset after the last returned event, or after the events that do not match.
    from: u64,
    ready: VecDeque<Event>,
}

impl Cursor {
    fn fill(&mut self, cx: &Context, group: &str, start: i64, end: i64, pattern: &Pattern) -> Result<(), AwsError> {
        while self.ready.is_empty() {
            let from = self.from;
            let block = with_file(cx, group, &self.name, |file| file.next_block(from, start, end))?;
            let Some(last) = block.as_ref().and_then(|block| block.last()).map(|event| event.end) else {
                break;
            };
            let matches = |e: &Event| (start..end).contains(&e.timestamp) && pattern.matches(&e.message);
            self.ready = block.into_iter().flatten().filter(matches).collect();
            if self.ready.is_empty() {
                self.from = last;
            }
        }
        Ok(())
    }

    fn offset(&self) -> u64 {
        self.ready.front().map_or(self.from, |event| event.offset)
    }
}

fn search_result(events: &[Value], token: Option<String>) -> Value {
    with_token(json!({"events": events, "searchedLogStreams": []}), token)
}

fn searched_streams(cx: &Context, call: &Call, group: &str) -> Result<Vec<String>, AwsError> {
    let named = call.texts("logStreamNames");
    let prefix = call.text("logStreamNamePrefix");
    if !named.is_empty() && prefix.is_some() {
        return Err(invalid("logStreamNames and logStreamNamePrefix exclude each other."));
    }
    let prefix = prefix.unwrap_or_default();
    let mut all: Vec<String> = Stream::list(cx, group)?.into_iter().map(|(name, _)| name).collect();
    if named.iter().any(|name| !all.contains(name)) {
        return Err(not_found("stream"));
    }
    all.retain(|name| {
        if named.is_empty() {
            name.starts_with(&prefix)
        } else {
            named.contains(name)
        }
    });
    Ok(all)
}

/// Decodes the offset of each stream from the token of the previous page.
fn offsets(call: &Call) -> Result<BTreeMap<String, u64>, AwsError> {
    let Some(token) = call.text("nextToken") else {
        return Ok(BTreeMap::new());
    };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    let read = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    read.ok_or_else(|| invalid("The specified nextToken is invalid."))
}

/// Returns the requested times within the group's retention period; the end is exclusive.
fn time_range(call: &Call, group: &Record) -> (i64, i64) {
    let start = call.integer("startTime").unwrap_or(i64::MIN);
    // GetLogEvents excludes events at endTime, FilterLogEvents includes them.
    let inclusive = i64::from(call.operation == "FilterLogEvents");
    let end = call
        .integer("endTime")
        .map_or(i64::MAX, |end| end.saturating_add(inclusive));
    (start.max(retained_since(group).unwrap_or(i64::MIN)), end)
}

/// Returns a stable ID of an event, from its time, stream and offset; 56 digits like AWS's.
fn event_id(stream: &str, event: &Event) -> String {
    let digest = Sha256::digest(stream.as_bytes());
    let stream = digest
        .iter()
        .take(8)
        .fold(0, |bits: u64, byte| (bits << 8) | u64::from(*byte));
    format!("{:016}{stream:020}{:020}", event.timestamp.max(0), event.offset)
}

/// Calls `work` with the open files of a stream.
fn with_file<T>(
    cx: &Context,
    group: &str,
    stream: &str,
    work: impl FnOnce(&mut StreamFile) -> anyhow::Result<T>,
) -> Result<T, AwsError> {
    let file = cx.extension::<Files>().open(cx, group, stream)?;
    Ok(work(&mut file.lock())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::context_with;

    #[tokio::test]
    async fn a_search_returns_the_events_of_all_streams_by_time_in_pages() {
        let (cx, _folder) = context_with(vec![crate::service::logs::service()]);
        let call = |operation: &'static str, input: Value| cx.call("logs", operation, input);
        assert_eq!(
            append(&cx, "/g", "a", &[(1, "x".into())]).unwrap_err().code,
            "ResourceNotFoundException"
        );
        call("CreateLogGroup", json!({"logGroupName": "/g"})).await.unwrap();
        append(
            &cx,
            "/g",
            "a",
            &[(1, "one".into()), (4, "four".into()), (6, "six".into())],
        )
        .unwrap();
        append(
            &cx,
            "/g",
            "b",
            &[(2, "two".into()), (5, "noise".into()), (5, "five".into())],
        )
        .unwrap();

        let mut messages = Vec::new();
        let mut input = json!({"logGroupName": "/g", "limit": 2, "filterPattern": "-noise", "startTime": 2});
        loop {
            let page = call("FilterLogEvents", input.clone()).await.unwrap();
            messages.extend(
                page["events"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|e| e["message"].as_str().unwrap().to_owned()),
            );
            let Some(token) = page.get("nextToken") else { break };
            input["nextToken"] = token.clone();
        }
        assert_eq!(messages, ["two", "four", "five", "six"]);

        let last = json!({"logGroupName": "/g", "logStreamName": "a", "limit": 2});
        let newest = call("GetLogEvents", last).await.unwrap();
        let texts: Vec<&Value> = newest["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| &e["message"])
            .collect();
        assert_eq!(texts, ["four", "six"]);
        let before = json!({"logGroupName": "/g", "logStreamName": "a", "nextToken": newest["nextBackwardToken"]});
        assert_eq!(
            call("GetLogEvents", before).await.unwrap()["events"][0]["message"],
            "one"
        );
    }
}
