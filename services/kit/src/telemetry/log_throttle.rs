//! Rate limit for log lines that would repeat many times a minute.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Lets one line of each kind pass per interval and counts the suppressed ones.
#[derive(Debug)]
pub(crate) struct LogThrottle {
    interval: Duration,
    /// The last line of each kind, and the lines suppressed since.
    kinds: HashMap<String, (Instant, u64)>,
}

impl LogThrottle {
    /// Maximum number of kinds in memory; librdkafka has some dozens.
    const MAX_KINDS: usize = 200;

    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            kinds: HashMap::new(),
        }
    }

    /// Returns the lines suppressed since the last one if a line of this kind may be logged now, otherwise `None`.
    pub(crate) fn should_log(&mut self, kind: &str, now: Instant) -> Option<u64> {
        if let Some((last, suppressed)) = self.kinds.get_mut(kind) {
            if now.duration_since(*last) < self.interval {
                *suppressed += 1;
                return None;
            }
            *last = now;
            return Some(std::mem::take(suppressed));
        }
        if self.kinds.len() >= Self::MAX_KINDS {
            self.kinds
                .retain(|_, (last, _)| now.duration_since(*last) < self.interval);
        }
        self.kinds.insert(kind.to_owned(), (now, 0));
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_thousand_lines_in_twelve_minutes_become_two_a_minute_and_all_are_counted() {
        let (mut throttle, start) = (LogThrottle::new(Duration::from_secs(30)), Instant::now());
        let (mut lines, mut counted) = (0, 0);
        for n in 0..12_000 {
            if let Some(suppressed) = throttle.should_log("AllBrokersDown", start + Duration::from_millis(60 * n)) {
                lines += 1;
                counted += suppressed + 1;
            }
        }
        assert_eq!(lines, 24);
        assert!((11_500..=12_000).contains(&counted), "{counted}");
        assert_eq!(
            throttle.should_log("Resolve", start),
            Some(0),
            "another kind passes at once"
        );
    }

    #[test]
    fn the_first_line_passes_at_once_and_then_one_per_interval() {
        let (mut throttle, start) = (LogThrottle::new(Duration::from_mins(1)), Instant::now());
        let passed: Vec<u64> = (0..=130)
            .step_by(5)
            .filter(|second| {
                let now = start + Duration::from_secs(*second);
                throttle.should_log("lag", now).is_some()
            })
            .collect();
        assert_eq!(passed, [0, 60, 120]);
    }

    #[test]
    fn the_kinds_are_bounded() {
        let (mut throttle, start) = (LogThrottle::new(Duration::from_secs(30)), Instant::now());
        for n in 0..10_000_u64 {
            let _ = throttle.should_log(&format!("kind {n}"), start + Duration::from_secs(n));
        }
        assert!(
            throttle.kinds.len() <= LogThrottle::MAX_KINDS,
            "{}",
            throttle.kinds.len()
        );
    }
}
