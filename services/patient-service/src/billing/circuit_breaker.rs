//! Circuit breaker of billing-service: requests do not wait for a peer that is down.
//!
//! Calls are allowed until several in a row fail; then the breaker opens. The reconciler, for which no client waits, makes
//! the probe that finds out if the peer is back. A request makes it only if the reconciler has nothing to send.

use std::time::{Duration, Instant};

/// Number of failures in a row that opens the breaker.
const FAILURE_THRESHOLD: u32 = 3;
/// Time after a failure until the reconciler may probe.
const RESET_TIMEOUT: Duration = Duration::from_secs(1);
/// Time after a failure until a request may probe; longer, so that the reconciler is the first to try.
const REQUEST_PROBE_DELAY: Duration = Duration::from_secs(10);
/// Time after which a probe without a result counts as lost, because its task ended.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// Origin of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallSource {
    /// A request, for whose response a client waits.
    Request,
    /// The reconciler.
    Reconciler,
}

/// The state machine; the time is a parameter.
#[derive(Debug)]
pub struct CircuitBreaker {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { since: Instant },
    HalfOpen { since: Instant },
}

impl Default for CircuitBreaker {
    /// Returns a closed breaker.
    fn default() -> Self {
        Self {
            state: State::Closed { failures: 0 },
        }
    }
}

impl CircuitBreaker {
    /// Returns true if all calls are allowed.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Returns true if this call is allowed; while the breaker is open, the allowed call is the probe.
    pub fn allows(&mut self, source: CallSource, now: Instant) -> bool {
        let allowed_from = match (self.state, source) {
            (State::Closed { .. }, _) => return true,
            (State::Open { since }, CallSource::Reconciler) => since + RESET_TIMEOUT,
            (State::Open { since }, CallSource::Request) => since + REQUEST_PROBE_DELAY,
            (State::HalfOpen { since }, _) => since + PROBE_TIMEOUT,
        };
        let allowed = now >= allowed_from;
        if allowed {
            self.state = State::HalfOpen { since: now };
        }
        allowed
    }

    /// Records any response of the peer, also an error.
    pub fn record_response(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// Records a call without a response.
    pub fn record_failure(&mut self, now: Instant) {
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < FAILURE_THRESHOLD => State::Closed { failures: failures + 1 },
            // The failure of a call that was in flight when the breaker opened contains no new information.
            State::Open { since } => State::Open { since },
            State::Closed { .. } | State::HalfOpen { .. } => State::Open { since: now },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{CallSource::*, *};

    fn open(now: Instant) -> CircuitBreaker {
        let mut breaker = CircuitBreaker::default();
        for _ in 0..FAILURE_THRESHOLD {
            assert!(breaker.allows(Request, now));
            breaker.record_failure(now);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_response_between_them_does_not() {
        let now = Instant::now();
        let mut breaker = CircuitBreaker::default();
        for _ in 0..10 {
            breaker.record_failure(now);
            breaker.record_failure(now);
            breaker.record_response();
        }
        assert!(breaker.is_closed());
        assert!(!open(now).is_closed());
    }

    #[test]
    fn while_it_is_open_requests_are_rejected_and_the_reconciler_probes() {
        let now = Instant::now();
        let mut breaker = open(now);
        let later = now + RESET_TIMEOUT;
        assert!(!breaker.allows(Request, later));
        assert!(!breaker.allows(Reconciler, now));
        assert!(breaker.allows(Reconciler, later));
        assert!(!breaker.allows(Reconciler, later), "one probe at a time");
        breaker.record_failure(later);
        assert!(!breaker.allows(Reconciler, later), "the timeout starts again");
        assert!(breaker.allows(Reconciler, later + RESET_TIMEOUT));
        breaker.record_response();
        assert!(breaker.allows(Request, later + RESET_TIMEOUT));
    }

    #[test]
    fn a_request_probes_if_the_reconciler_does_not_and_a_lost_probe_is_repeated() {
        let now = Instant::now();
        let mut breaker = open(now);
        let later = now + REQUEST_PROBE_DELAY;
        assert!(breaker.allows(Request, later));
        assert!(!breaker.allows(Reconciler, later + RESET_TIMEOUT));
        assert!(breaker.allows(Reconciler, later + PROBE_TIMEOUT));
    }
}
