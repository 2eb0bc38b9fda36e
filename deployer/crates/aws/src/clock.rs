//! The clock of a session, and waits with a timeout whose polls become rarer while nothing changes.

use std::time::{Duration, Instant};

use aws_sdk_cloudformation::config::{AsyncSleep, Sleep};

/// The machine's clock. A test may let it run faster, so that half an hour of waiting takes seconds.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    speed: u32,
}

impl Default for Clock {
    fn default() -> Self {
        Self::at_speed(1)
    }
}

impl Clock {
    /// Returns a clock on which this many seconds pass in one.
    pub fn at_speed(speed: u32) -> Self {
        Self {
            start: Instant::now(),
            speed: speed.max(1),
        }
    }

    /// Returns the time since the clock was created.
    pub fn now(&self) -> Duration {
        self.start.elapsed() * self.speed
    }

    /// Returns the time since a moment of this clock.
    pub fn since(&self, moment: Duration) -> Duration {
        self.now().saturating_sub(moment)
    }

    /// Sleeps for a duration of this clock.
    pub async fn sleep(&self, length: Duration) {
        tokio::time::sleep(length / self.speed).await;
    }

    /// Returns the length on this clock of a duration on the machine's clock.
    pub(crate) fn stretched(&self, length: Duration) -> Duration {
        length * self.speed
    }
}

/// The SDK's pauses between two attempts.
impl AsyncSleep for Clock {
    fn sleep(&self, length: Duration) -> Sleep {
        Sleep::new(tokio::time::sleep(length / self.speed))
    }
}

/// Longest pause between two polls, as a multiple of the first.
const MAX_STRETCH: u32 = 8;
/// A poll may notice a change late by this fraction of the time without any change.
const LATENESS: u32 = 10;

/// Something that did not finish within its timeout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} did not finish within {seconds} s{}", last.as_ref().map(|last| format!("; last state: {last}")).unwrap_or_default())]
pub struct TimedOut {
    /// The thing that was waited for.
    pub what: String,
    /// The time limit in seconds.
    pub seconds: u64,
    /// The last state that was seen, if any.
    pub last: Option<String>,
}

/// One wait for something that changes: decides when to poll again and when to give up.
#[derive(Debug, Clone)]
pub struct Wait {
    clock: Clock,
    interval: Duration,
    timeout: Duration,
    start: Duration,
    last_change: Duration,
}

impl Wait {
    /// Starts now, with polls every `interval` at first.
    pub fn start(clock: Clock, interval: Duration, timeout: Duration) -> Self {
        let now = clock.now();
        Self {
            clock,
            interval,
            timeout,
            start: now,
            last_change: now,
        }
    }

    /// Returns the time since the wait started.
    pub fn elapsed(&self) -> Duration {
        self.clock.since(self.start)
    }

    /// Records a change, so that polls become frequent again.
    pub fn changed(&mut self) {
        self.last_change = self.clock.now();
    }

    /// Checks the timeout; `what` is waited for, and `last` is its last state.
    ///
    /// # Errors
    /// The timeout has passed.
    pub fn check(&self, what: impl FnOnce() -> String, last: impl FnOnce() -> Option<String>) -> Result<(), TimedOut> {
        if self.elapsed() <= self.timeout {
            return Ok(());
        }
        Err(TimedOut {
            what: what(),
            seconds: self.timeout.as_secs(),
            last: last(),
        })
    }

    /// Sleeps until the next poll.
    pub async fn pause(&self) {
        self.clock.sleep(self.length(self.clock.since(self.last_change))).await;
    }

    fn length(&self, unchanged: Duration) -> Duration {
        (unchanged / LATENESS).clamp(self.interval, self.interval * MAX_STRETCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_become_rarer_while_nothing_changes() {
        let wait = Wait::start(Clock::default(), Duration::from_secs(3), Duration::from_mins(90));
        let (mut at, mut polls) = (Duration::ZERO, 0);
        while at < Duration::from_secs(1833) {
            at += wait.length(at);
            polls += 1;
        }
        assert!((80..=120).contains(&polls), "{polls} polls");
        assert_eq!(wait.length(Duration::ZERO), Duration::from_secs(3));
        assert_eq!(wait.length(Duration::from_secs(100)), Duration::from_secs(10));
        assert_eq!(wait.length(Duration::from_mins(30)), Duration::from_secs(24));
    }
}
