//! The interface of the three renderings.

use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::Event;

/// A rendering of the event stream.
pub trait Renderer: Send {
    fn event(&mut self, event: &Event, now: Now);
    /// Redraws moving parts; called several times a second.
    fn tick(&mut self, _now: Now) {}
    /// Removes moving parts and draws nothing until `resume`, so that another program part may write.
    fn pause(&mut self) {}
    fn resume(&mut self, _now: Now) {}
    /// Removes moving parts for good.
    fn end(&mut self, _now: Now) {}
    fn set_estimator(&mut self, _estimator: DurationEstimator) {}
}

/// Returns the expected seconds of an action (`create`, `update`, `delete`) on a resource of a type, if known.
pub type DurationEstimator = Arc<dyn Fn(&str, &str) -> Option<f64> + Send + Sync>;

/// Returns an estimator that knows nothing.
pub fn no_estimates() -> DurationEstimator {
    Arc::new(|_, _| None)
}

/// A moment, passed in by the caller: the time since the run began, and the time of day.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Since the run began.
    pub run: Duration,
    /// UTC.
    pub wall: OffsetDateTime,
}

impl Now {
    /// Returns the present moment of a run that began at `start`.
    pub fn since(start: Instant) -> Self {
        Self {
            run: start.elapsed(),
            wall: OffsetDateTime::now_utc(),
        }
    }
}
