//! Time as a command sees it, and how it waits: seldom where nothing changes, and never for ever.

use std::time::{Duration, Instant};

use aws_sdk_cloudformation::config::{AsyncSleep, Sleep};

use crate::error::{Error, Result};

/// The machine's clock; a test may let it run faster, so that half an hour of waiting takes seconds.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Instant,
    speed: u32,
}

impl Default for Clock {
    fn default() -> Self {
        Self::at_speed(1)
    }
}

impl Clock {
    /// A clock on which this many seconds pass in one.
    pub fn at_speed(speed: u32) -> Self {
        Self {
            began: Instant::now(),
            speed: speed.max(1),
        }
    }

    /// What has passed since the clock was made.
    pub fn now(&self) -> Duration {
        self.began.elapsed() * self.speed
    }

    pub fn since(&self, moment: Duration) -> Duration {
        self.now().saturating_sub(moment)
    }

    pub async fn sleep(&self, length: Duration) {
        tokio::time::sleep(length / self.speed).await;
    }

    /// A length that lasts on this clock as long as the given one does on the machine's.
    pub fn stretched(&self, length: Duration) -> Duration {
        length * self.speed
    }
}

/// The SDK's pauses between its tries.
impl AsyncSleep for Clock {
    fn sleep(&self, length: Duration) -> Sleep {
        Sleep::new(tokio::time::sleep(length / self.speed))
    }
}

/// How many times longer than at first a pause may be.
const STRETCH: u32 = 8;
/// A change may be noticed late by this part of the time for which nothing has changed.
const LATE: u32 = 10;

/// One wait for something that changes: when to look again, and when to give up.
#[derive(Debug, Clone)]
pub struct Wait {
    clock: Clock,
    pace: Duration,
    limit: Duration,
    began: Duration,
    changed: Duration,
}

impl Wait {
    /// Begins now. Looks follow each other in `pace` at first.
    pub fn begin(clock: Clock, pace: Duration, limit: Duration) -> Self {
        let now = clock.now();
        Self {
            clock,
            pace,
            limit,
            began: now,
            changed: now,
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.clock.since(self.began)
    }

    /// Something has changed, so more may: looks follow each other soon again.
    pub fn notice(&mut self) {
        self.changed = self.clock.now();
    }

    pub fn is_over(&self) -> bool {
        self.elapsed() > self.limit
    }

    /// An error when it has lasted longer than it may; `what` did not end, and `last` is what was seen of it.
    pub fn within(&self, what: impl FnOnce() -> String, last: impl FnOnce() -> Option<String>) -> Result<()> {
        if !self.is_over() {
            return Ok(());
        }
        Err(Error::TimedOut {
            what: what(),
            seconds: self.limit.as_secs(),
            last: last(),
        })
    }

    /// Until the next look.
    pub async fn pause(&self) {
        self.clock.sleep(self.length(self.clock.since(self.changed))).await;
    }

    fn length(&self, quiet: Duration) -> Duration {
        (quiet / LATE).clamp(self.pace, self.pace * STRETCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rarer_while_nothing_changes_and_half_an_hour_takes_few() {
        let wait = Wait::begin(Clock::default(), Duration::from_secs(3), Duration::from_secs(5400));
        let (mut at, mut looks) = (Duration::ZERO, 0);
        while at < Duration::from_secs(1833) {
            at += wait.length(at);
            looks += 1;
        }
        assert!((80..=120).contains(&looks), "{looks} looks");
        assert_eq!(wait.length(Duration::ZERO), Duration::from_secs(3));
        assert_eq!(wait.length(Duration::from_secs(100)), Duration::from_secs(10));
        assert_eq!(wait.length(Duration::from_secs(1800)), Duration::from_secs(24));
    }
}
