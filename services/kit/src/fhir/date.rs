//! Dates as search parameters (FHIR R4, 3.1.1.4.7): a prefix, and a date or time whose precision makes it an interval.

use time::{
    Date, Duration, Month, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339,
    macros::format_description,
};

use crate::problem::{Problem, Result};

/// The values that a parameter matches: from `start` until before `end`, or those outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateRange {
    /// First instant that matches; no limit without it.
    pub start: Option<OffsetDateTime>,
    /// First instant that no longer matches; no limit without it.
    pub end: Option<OffsetDateTime>,
    /// True for `ne`: everything else matches.
    pub is_negated: bool,
    /// True if the value has a time.
    pub has_time: bool,
}

impl DateRange {
    /// Parses a value of the parameter `name`, such as `ge2026-11`; a time needs a zone, except for UTC.
    ///
    /// # Errors
    /// 400 if it is malformed, or has the prefix `ap`, which is not supported.
    pub fn parse(name: &str, value: &str) -> Result<Self> {
        let malformed = || {
            Problem::field(
                name,
                "This must be a date or time from 1850 to 9998, such as 2026, 2026-11 or ge2026-11-29T08:00:00Z",
            )
        };
        let (prefix, text) = match value.as_bytes() {
            [first, second, ..] if first.is_ascii_lowercase() && second.is_ascii_lowercase() => value.split_at(2),
            _ => ("eq", value),
        };
        let (from, to) = interval(text).ok_or_else(malformed)?;
        let range = |start, end| Self {
            start,
            end,
            is_negated: prefix == "ne",
            has_time: text.contains('T'),
        };
        Ok(match prefix {
            "eq" | "ne" => range(Some(from), Some(to)),
            "ge" => range(Some(from), None),
            "gt" | "sa" => range(Some(to), None),
            "lt" | "eb" => range(None, Some(from)),
            "le" => range(None, Some(to)),
            "ap" => return Err(Problem::field(name, "The prefix ap is not supported; use ge and le")),
            _ => return Err(malformed()),
        })
    }
}

/// Returns the first instant of a date or time, and the first one behind it.
fn interval(text: &str) -> Option<(OffsetDateTime, OffsetDateTime)> {
    let midnight = |date: Date| date.midnight().assume_utc();
    let day = |text: &str| Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    let (from, to) = match text.len() {
        4 => {
            let from = day(&format!("{text}-01-01"))?;
            (
                midnight(from),
                midnight(Date::from_calendar_date(from.year() + 1, Month::January, 1).ok()?),
            )
        }
        7 => {
            let from = day(&format!("{text}-01"))?;
            let next = from + Duration::days(i64::from(from.month().length(from.year())));
            (midnight(from), midnight(next))
        }
        10 => {
            let from = day(text)?;
            (midnight(from), midnight(from.next_day()?))
        }
        _ => time(text)?,
    };
    (1850..9999).contains(&from.year()).then_some((from, to))
}

/// Parses a time with minutes, seconds or fractions, and an optional zone.
fn time(text: &str) -> Option<(OffsetDateTime, OffsetDateTime)> {
    let (date, clock) = text.split_once('T')?;
    let end = clock.find(['Z', '+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(end);
    let zone = if zone.is_empty() { "Z" } else { zone };
    let (clock, precision) = match clock.len() {
        5 => (format!("{clock}:00"), Duration::MINUTE),
        8 => (clock.to_owned(), Duration::SECOND),
        _ => (clock.to_owned(), Duration::MICROSECOND),
    };
    let from = OffsetDateTime::parse(&format!("{date}T{clock}{zone}"), &Rfc3339).ok()?;
    let from = from.checked_to_offset(UtcOffset::UTC)?;
    Some((from, from.checked_add(precision)?))
}

/// Returns a time as a FHIR instant, in UTC with milliseconds.
pub fn instant(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    at.to_offset(UtcOffset::UTC).format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_precision_makes_the_interval_and_the_prefix_its_limits() {
        let (march, april) = (datetime!(2024-03-01 0:00 UTC), datetime!(2024-04-01 0:00 UTC));
        for (value, start, end) in [
            ("2024-03", Some(march), Some(april)),
            ("ge2024-03", Some(march), None),
            ("gt2024-03", Some(april), None),
            ("sa2024-03", Some(april), None),
            ("lt2024-03", None, Some(march)),
            ("eb2024-03-01", None, Some(march)),
            ("le2024-03", None, Some(april)),
            (
                "2024",
                Some(datetime!(2024-01-01 0:00 UTC)),
                Some(datetime!(2025-01-01 0:00 UTC)),
            ),
            ("2024-03-01T01:00+01:00", Some(march), Some(march + Duration::MINUTE)),
            ("2024-03-01T00:00:00", Some(march), Some(march + Duration::SECOND)),
            (
                "2024-03-01T00:00:00.000Z",
                Some(march),
                Some(march + Duration::MICROSECOND),
            ),
        ] {
            let range = DateRange::parse("date", value).expect(value);
            assert_eq!(
                (range.start, range.end, range.is_negated),
                (start, end, false),
                "{value}"
            );
            assert_eq!(range.has_time, value.contains('T'));
        }
        assert!(DateRange::parse("date", "ne2024").expect("a range").is_negated);
    }

    #[test]
    fn a_malformed_date_is_a_client_error() {
        for value in [
            "",
            "x",
            "24",
            "2024-13",
            "2024-02-30",
            "ap2024",
            "zz2024",
            "9999",
            "1849",
            "+2024-01-01",
            "2024-3-1",
            "ge",
            "2024-03-01T25:00Z",
            "2024-03-01T",
            "20é4",
            "é",
            "9998-12-31T23:59:59-23:59",
        ] {
            let rejected = DateRange::parse("date", value);
            assert_eq!(rejected.expect_err(value).status(), 400, "{value}");
        }
    }

    #[test]
    fn an_instant_has_milliseconds_and_a_zone() {
        assert_eq!(
            instant(datetime!(2024-03-01 1:02:03.45678 +1)),
            "2024-03-01T00:02:03.456Z"
        );
    }
}
