//! Timestamps of the AWS JSON protocol.

use serde_json::Value;
use time::{Duration, OffsetDateTime};

/// Returns the moment of a timestamp: seconds since 1970, with a fraction. `None` for another value, or a year beyond 9999.
pub fn unix_time(seconds: &Value) -> Option<OffsetDateTime> {
    OffsetDateTime::UNIX_EPOCH.checked_add(Duration::saturating_seconds_f64(seconds.as_f64()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_timestamp_is_a_number_of_seconds_with_a_fraction() {
        assert_eq!(unix_time(&json!(1.5)), Some(datetime!(1970-01-01 00:00:01.5 UTC)));
        assert_eq!(unix_time(&json!("2026-01-01")), None);
        assert_eq!(unix_time(&json!(1e300)), None);
    }
}
