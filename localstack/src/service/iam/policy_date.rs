//! Dates in the conditions of policies: ISO 8601 (W3C's profile), or seconds since 1970.

/// Returns true for a date, whose parts from the month on may be missing.
pub fn is_valid(text: &str) -> bool {
    if let Ok(number) = text.parse::<i128>() {
        return i64::try_from(number).is_ok();
    }
    let (date, time) = match text.split_once(['T', 't']) {
        Some((date, time)) => (date, time),
        None => (text, ""),
    };
    let mut parts = date.split('-');
    let limits = [(1, 9999), (1, 12), (1, 31)];
    let is_date = limits.iter().enumerate().all(|(at, (least, most))| match parts.next() {
        Some(part) => number(part).is_some_and(|number| (*least..=*most).contains(&number)),
        None => at > 0,
    });
    is_date && parts.next().is_none() && is_time(time)
}

/// Checks `HH:MM:SS.fraction` and an offset.
fn is_time(time: &str) -> bool {
    let time = time.strip_suffix(['Z', 'z']).unwrap_or(time);
    let (clock, offset) = match time.find(['+', '-']) {
        Some(at) => (&time[..at], Some(&time[at + 1..])),
        None => (time, None),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let is_clock = clock.is_empty()
        || clock
            .split(':')
            .all(|part| number(part).is_some_and(|number| number < 60));
    let is_offset = offset.is_none_or(|offset| offset.split(':').all(|part| part.len() == 2 && number(part).is_some()));
    is_clock && fraction.len() <= 9 && number(fraction).is_some() && is_offset
}

/// Returns the number that a text of digits is.
fn number(text: &str) -> Option<u32> {
    text.chars().all(|c| c.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn a_date_may_lack_its_last_parts() {
        for (text, expected) in [
            ("2019-07-01T13:20:15Z", true),
            ("2016-12-13T21:20:37.593194+00:00", true),
            ("2016-12-13t2:00:00.593194+23", true),
            ("01T", true),
            ("-292275054", true),
            ("9223372036854775808", false),
            ("234-13", false),
            ("2016-12-13t2:00:00.593194+1", false),
            ("2016-12-13t2:00:00.1999999999+10:59", false),
            ("tomorrow", false),
        ] {
            assert_eq!(is_valid(text), expected, "{text}");
        }
    }
}
