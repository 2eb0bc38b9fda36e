//! One JSON object a line, for programs; `deployer/schema/events.v1.json` says what is in it.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::{Event, Now, Renderer, pipe};

/// The version of the lines' shape; it changes when a field goes or changes its meaning.
const VERSION: u32 = 1;

pub struct Ndjson;

impl Renderer for Ndjson {
    fn event(&mut self, event: &Event, now: Now) {
        pipe::write(&format!("{}\n", line(event, now)));
    }
}

/// An event as a line's object: version, time and type, then what the event says.
pub fn line(event: &Event, now: Now) -> Value {
    let time = now.wall.format(&Rfc3339).unwrap_or_default();
    let mut line = json!({ "version": VERSION, "time": time, "type": event.class() });
    if let (Value::Object(line), Ok(Value::Object(fields))) = (&mut line, serde_json::to_value(event)) {
        line.extend(fields);
    }
    line
}
