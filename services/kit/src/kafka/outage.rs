//! Errors of a consumer while no broker is reachable: hundreds a minute, and two lines in the log.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Time without an error after which an outage is over.
const QUIET: Duration = Duration::from_secs(10);

/// The current outage, if there is one. The caller passes the current time.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<Errors>>);

#[derive(Debug)]
struct Errors {
    count: u64,
    first: Instant,
    last: Instant,
}

impl Outage {
    /// Counts an error; returns true for the first one of an outage.
    pub(super) fn count(&self, now: Instant) -> bool {
        let mut errors = self.0.lock();
        let is_first = errors.is_none();
        let errors = errors.get_or_insert(Errors {
            count: 0,
            first: now,
            last: now,
        });
        errors.count += 1;
        errors.last = now;
        is_first
    }

    /// Ends the outage after an answer of a broker, and logs the number of its errors; another broker may still fail.
    pub(super) fn end(&self, now: Instant) {
        if let Some((errors, seconds)) = self.ended(now) {
            tracing::info!(errors, seconds, "Kafka is reachable again");
        }
    }

    fn ended(&self, now: Instant) -> Option<(u64, u64)> {
        let mut errors = self.0.lock();
        let ended = errors.take_if(|errors| now.duration_since(errors.last) >= QUIET)?;
        Some((ended.count, ended.last.duration_since(ended.first).as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errors_of_an_outage_are_one_line_at_its_beginning_and_one_at_its_end() {
        let (outage, start) = (Outage::default(), Instant::now());
        let first = (0..650).filter(|n| outage.count(start + Duration::from_millis(100 * n)));
        assert_eq!(first.count(), 1);
        assert_eq!(outage.ended(start + Duration::from_secs(66)), None, "errors may follow");
        assert_eq!(outage.ended(start + Duration::from_secs(75)), Some((650, 64)));
        assert_eq!(outage.ended(start + Duration::from_secs(80)), None);
        assert!(outage.count(start + Duration::from_secs(90)), "the next outage");
    }
}
