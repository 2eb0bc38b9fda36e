//! What is worth a line in the log, but not many.

use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// Lets one pass at once, and then one a minute.
#[derive(Debug, Default)]
pub(crate) struct Minutely {
    last: Option<Instant>,
}

impl Minutely {
    pub(crate) fn due(&mut self, now: Instant) -> bool {
        let due = self.last.is_none_or(|last| now.duration_since(last) >= MINUTE);
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_passes_at_once_and_one_a_minute() {
        let (mut minutely, start) = (Minutely::default(), Instant::now());
        let passed: Vec<u64> = (0..=130)
            .step_by(5)
            .filter(|second| minutely.due(start + Duration::from_secs(*second)))
            .collect();
        assert_eq!(passed, [0, 60, 120]);
    }
}
