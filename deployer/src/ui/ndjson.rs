//! One JSON object a line, for programs.

use std::io::Write;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Event, Renderer};

/// The version of the lines' shape; it changes when a field goes or changes its meaning.
const VERSION: u32 = 1;

pub struct Ndjson;

impl Renderer for Ndjson {
    fn event(&mut self, event: &Event) {
        let mut line =
            json!({ "version": VERSION, "time": OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default() });
        if let (Value::Object(line), Ok(Value::Object(fields))) = (&mut line, serde_json::to_value(event)) {
            line.extend(fields);
        }
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}
