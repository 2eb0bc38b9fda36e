//! Events: putting them, reading one stream, and searching many.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::file::{Event, Files, StreamFile};
use super::group::{self, GROUPS, horizon, with_token};
use super::pattern::Pattern;
use super::{invalid, missing, stream};
use crate::records::{WriteLock, now};
use crate::service::Call;
use crate::{AwsError, Context};

/// An answer holds at most this many bytes of messages, as AWS's do.
const ANSWER: usize = 1024 * 1024;

/// Writes events of a task or of a server; a stream that is missing is made, a group that is missing is an error.
/// Events are `(milliseconds since 1970, line)`, in the order of their times.
pub fn append(cx: &Context, group: &str, stream: &str, events: &[(i64, String)]) -> Result<(), AwsError> {
    if GROUPS.get(cx, group)?.is_none() {
        return Err(missing("group"));
    }
    if !stream::exists(cx, group, stream)? {
        let lock = cx.extension::<WriteLock>();
        let _guard = lock.lock();
        stream::add(cx, group, stream)?;
    }
    with(cx, group, stream, |file| file.append(events, now()))
}

pub fn put(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let group = group::named(cx, call)?;
    let name = call.required("logStreamName")?;
    if !stream::exists(cx, &group.id, &name)? {
        return Err(missing("stream"));
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
        return Err(invalid("logEvents must hold 1 to 10,000 events."));
    }
    if !events.is_sorted_by_key(|(timestamp, _)| *timestamp) {
        return Err(invalid(
            "Log events in a single PutLogEvents request must be in chronological order.",
        ));
    }
    let next = with(cx, &group.id, &name, |file| {
        file.append(&events, now())?;
        Ok(file.end())
    })?;
    Ok(json!({"nextSequenceToken": next.to_string()}))
}

pub fn get(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let group = group::named(cx, call)?;
    let name = call.required("logStreamName")?;
    if !stream::exists(cx, &group.id, &name)? {
        return Err(missing("stream"));
    }
    let (start, end) = span(call, &group);
    let limit = limit(call);
    let token = call.text("nextToken");
    let (forward, from) = match token
        .as_deref()
        .map(|t| (t.get(..2), t.get(2..).and_then(|n| n.parse::<u64>().ok())))
    {
        None => (call.boolean("startFromHead").unwrap_or(false), None),
        Some((Some("f/"), Some(place))) => (true, Some(place)),
        Some((Some("b/"), Some(place))) => (false, Some(place)),
        Some(_) => return Err(invalid("The specified nextToken is invalid.")),
    };
    let wanted = |event: &Event| (start..end).contains(&event.timestamp);
    let (events, first, last) = with(cx, &group.id, &name, |file| {
        let mut found: VecDeque<Event> = VecDeque::new();
        let mut room = ANSWER;
        let mut edge = from.unwrap_or(if forward { 0 } else { file.end() });
        let origin = edge.min(file.end());
        'read: while let Some(mut block) = match forward {
            true => file.next_block(edge, start, end)?,
            false => file.previous_block(edge, start, end)?,
        } {
            if !forward {
                block.reverse();
            }
            let Some(outermost) = block.last() else { break };
            edge = if forward { outermost.end } else { outermost.place };
            for event in block.into_iter().filter(wanted) {
                if found.len() == limit || event.message.len() > room {
                    break 'read;
                }
                room -= event.message.len();
                if forward {
                    found.push_back(event)
                } else {
                    found.push_front(event)
                }
            }
        }
        let first = found.front().map_or(origin, |event| event.place);
        let last = found.back().map_or(origin, |event| event.end);
        Ok((found, first, last))
    })?;
    let shown = |e: Event| json!({"timestamp": e.timestamp, "ingestionTime": e.ingested, "message": e.message});
    let events: Vec<Value> = events.into_iter().map(shown).collect();
    Ok(json!({"events": events, "nextForwardToken": format!("f/{last}"), "nextBackwardToken": format!("b/{first}")}))
}

pub fn filter(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let group = group::named(cx, call)?;
    let pattern = Pattern::parse(&call.text("filterPattern").unwrap_or_default())?;
    let (start, end) = span(call, &group);
    let limit = limit(call);
    let mut places = places(call)?;
    let mut cursors = Vec::new();
    for name in searched(cx, call, &group.id)? {
        let from = places.remove(&name).unwrap_or_default();
        cursors.push(Cursor {
            name,
            from,
            ready: VecDeque::new(),
        });
    }
    let mut found = Vec::new();
    let mut room = ANSWER;
    loop {
        for cursor in &mut cursors {
            cursor.fill(cx, &group.id, start, end, &pattern)?;
        }
        let earliest = cursors
            .iter_mut()
            .filter(|c| !c.ready.is_empty())
            .min_by_key(|c| c.ready[0].timestamp);
        let Some(cursor) = earliest else { break };
        if found.len() == limit || cursor.ready[0].message.len() > room {
            let places: BTreeMap<&str, u64> = cursors.iter().map(|c| (c.name.as_str(), c.place())).collect();
            let token = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&places).map_err(anyhow::Error::from)?);
            return Ok(answer(found, Some(token)));
        }
        let Some(event) = cursor.ready.pop_front() else { break };
        cursor.from = event.end;
        room -= event.message.len();
        found.push(json!({
            "logStreamName": cursor.name, "timestamp": event.timestamp, "ingestionTime": event.ingested,
            "eventId": event_id(&cursor.name, &event), "message": event.message,
        }));
    }
    Ok(answer(found, None))
}

/// Where a search is in one stream.
struct Cursor {
    name: String,
    /// After the last event given, or further where nothing fits.
    from: u64,
    ready: VecDeque<Event>,
}

impl Cursor {
    fn fill(&mut self, cx: &Context, group: &str, start: i64, end: i64, pattern: &Pattern) -> Result<(), AwsError> {
        while self.ready.is_empty() {
            let from = self.from;
            let block = with(cx, group, &self.name, |file| file.next_block(from, start, end))?;
            let Some(last) = block.as_ref().and_then(|block| block.last()).map(|event| event.end) else {
                break;
            };
            let fits = |e: &Event| (start..end).contains(&e.timestamp) && pattern.matches(&e.message);
            self.ready = block.into_iter().flatten().filter(fits).collect();
            if self.ready.is_empty() {
                self.from = last;
            }
        }
        Ok(())
    }

    fn place(&self) -> u64 {
        self.ready.front().map_or(self.from, |event| event.place)
    }
}

fn answer(events: Vec<Value>, token: Option<String>) -> Value {
    with_token(json!({"events": events, "searchedLogStreams": []}), token)
}

fn searched(cx: &Context, call: &Call, group: &str) -> Result<Vec<String>, AwsError> {
    let named = call.texts("logStreamNames");
    let prefix = call.text("logStreamNamePrefix");
    if !named.is_empty() && prefix.is_some() {
        return Err(invalid("logStreamNames and logStreamNamePrefix cannot both be given."));
    }
    let prefix = prefix.unwrap_or_default();
    let mut all = stream::names(cx, group)?;
    if named.iter().any(|name| !all.contains(name)) {
        return Err(missing("stream"));
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

fn places(call: &Call) -> Result<BTreeMap<String, u64>, AwsError> {
    let Some(token) = call.text("nextToken") else {
        return Ok(BTreeMap::new());
    };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    let read = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    read.ok_or_else(|| invalid("The specified nextToken is invalid."))
}

/// The times asked for; `endTime` is exclusive here, and the group's retention is kept.
fn span(call: &Call, group: &crate::records::Record) -> (i64, i64) {
    let start = call.integer("startTime").unwrap_or(i64::MIN);
    // GetLogEvents leaves out events at endTime, FilterLogEvents leaves out those after it.
    let inclusive = i64::from(call.operation == "FilterLogEvents");
    let end = call
        .integer("endTime")
        .map_or(i64::MAX, |end| end.saturating_add(inclusive));
    (start.max(horizon(group).unwrap_or(i64::MIN)), end)
}

fn limit(call: &Call) -> usize {
    call.integer("limit").unwrap_or(10_000).clamp(1, 10_000) as usize
}

/// The same for the same event, whoever asks: time, stream and place, 56 digits as AWS's are.
fn event_id(stream: &str, event: &Event) -> String {
    let digest = Sha256::digest(stream.as_bytes());
    let stream = u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"));
    format!("{:016}{stream:020}{:020}", event.timestamp.max(0), event.place)
}

fn with<T>(
    cx: &Context,
    group: &str,
    stream: &str,
    work: impl FnOnce(&mut StreamFile) -> anyhow::Result<T>,
) -> Result<T, AwsError> {
    let file = cx.extension::<Files>().of(cx, group, stream)?;
    let mut file = file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    Ok(work(&mut file)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::context_with;

    #[tokio::test]
    async fn a_search_goes_through_all_streams_in_the_order_of_time_page_by_page() {
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

        let mut seen = Vec::new();
        let mut input = json!({"logGroupName": "/g", "limit": 2, "filterPattern": "-noise", "startTime": 2});
        loop {
            let page = call("FilterLogEvents", input.clone()).await.unwrap();
            seen.extend(
                page["events"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|e| e["message"].as_str().unwrap().to_owned()),
            );
            let Some(token) = page.get("nextToken") else { break };
            input["nextToken"] = token.clone();
        }
        assert_eq!(seen, ["two", "four", "five", "six"]);

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
