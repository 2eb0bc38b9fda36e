//! Times of messages.

use time::{Duration, OffsetDateTime};

/// Returns a time in the years 1970 to 9999, which both PostgreSQL and RFC 3339 can represent.
pub(crate) fn instant(timestamp: prost_types::Timestamp) -> Option<OffsetDateTime> {
    let nanos = i64::from(timestamp.nanos);
    let at = OffsetDateTime::from_unix_timestamp(timestamp.seconds).ok()?;
    at.checked_add(Duration::nanoseconds(nanos))
        .filter(|at| (1970..=9999).contains(&at.year()))
}
