//! One JSON object a line, for programs; `schema/events.v1.json` describes them.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::{Event, Now, Renderer, stdout};

/// The version of the lines' format; it changes when a field is removed or changes its meaning.
const VERSION: u32 = 1;

pub struct NdjsonRenderer;

impl Renderer for NdjsonRenderer {
    fn event(&mut self, event: &Event, now: Now) {
        stdout::write(&format!("{}\n", line(event, now)));
    }
}

/// Returns an event as the object of its line: version, time and type, then the event's own fields.
pub fn line(event: &Event, now: Now) -> Value {
    let time = now.wall.format(&Rfc3339).unwrap_or_default();
    let mut line = json!({ "version": VERSION, "time": time, "type": event.class() });
    if let (Value::Object(line), Ok(Value::Object(fields))) = (&mut line, serde_json::to_value(event)) {
        line.extend(fields);
    }
    line
}
