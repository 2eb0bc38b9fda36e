//! Timestamps, in milliseconds since 1970, and their forms on the wire.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Returns the current time in milliseconds since 1970.
pub fn now() -> i64 {
    let now = OffsetDateTime::now_utc();
    now.unix_timestamp() * 1000 + i64::from(now.millisecond())
}

/// Formats milliseconds since 1970 as the XML protocols do: RFC 3339.
pub fn iso(milliseconds: i64) -> String {
    let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000);
    instant.ok().and_then(|t| t.format(&Rfc3339).ok()).unwrap_or_default()
}

/// Formats milliseconds since 1970 as the JSON protocols do: seconds, with a fraction.
pub fn seconds(milliseconds: i64) -> Value {
    json!(milliseconds as f64 / 1000.0)
}
