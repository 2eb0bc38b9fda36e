//! Times in query parameters.

use time::{Date, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description};

/// Parses `2026-01-31` (its midnight, UTC) or an RFC 3339 time, in the years 1970 to 9998 of UTC.
///
/// No event is older, and the year 9999 is the last that can be formatted, so that the end of a bucket can be formatted too.
pub fn parse_instant(text: &str) -> Option<OffsetDateTime> {
    let date = Date::parse(text, format_description!("[year]-[month]-[day]")).map(|date| date.midnight().assume_utc());
    date.or_else(|_| OffsetDateTime::parse(text, &Rfc3339))
        .ok()?
        .checked_to_offset(UtcOffset::UTC)
        .filter(|at| (1970..9999).contains(&at.year()))
}
