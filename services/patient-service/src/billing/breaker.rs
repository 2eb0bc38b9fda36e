//! Whether billing-service is asked at all: what is dead is not waited for.
//!
//! Calls go through until several in a row fail; then the breaker opens. The reconciler, for which nobody waits, makes
//! the one call that finds out whether the peer is back. Only where it has nothing to ask for, a request makes it.

use std::time::{Duration, Instant};

/// So many failures in a row open the breaker.
const THRESHOLD: u32 = 3;
/// How long nobody calls after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// How much longer a request holds back, so that the reconciler is the first to try.
const COURTESY: Duration = Duration::from_secs(10);
/// After so long a trial is given up: whoever made it has gone away.
const TRIAL: Duration = Duration::from_secs(10);

/// Who wants to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A request, for whose answer a client waits.
    Request,
    /// The reconciler.
    Reconciler,
}

/// The state machine; time is told to it.
#[derive(Debug)]
pub struct Breaker {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { since: Instant },
    Trying { since: Instant },
}

impl Default for Breaker {
    /// Closed.
    fn default() -> Self {
        Self {
            state: State::Closed { failures: 0 },
        }
    }
}

impl Breaker {
    /// Whether calls go through.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Whether this caller may call now; a caller who may, while the breaker is open, makes the trial.
    pub fn permits(&mut self, caller: Caller, now: Instant) -> bool {
        let from = match (self.state, caller) {
            (State::Closed { .. }, _) => return true,
            (State::Open { since }, Caller::Reconciler) => since + PAUSE,
            (State::Open { since }, Caller::Request) => since + COURTESY,
            (State::Trying { since }, _) => since + TRIAL,
        };
        let permitted = now >= from;
        if permitted {
            self.state = State::Trying { since: now };
        }
        permitted
    }

    /// The peer answered, whatever it said.
    pub fn answered(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// The peer did not answer.
    pub fn failed(&mut self, now: Instant) {
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < THRESHOLD => State::Closed { failures: failures + 1 },
            // Calls that were under way when it opened say nothing new.
            State::Open { since } => State::Open { since },
            State::Closed { .. } | State::Trying { .. } => State::Open { since: now },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..THRESHOLD {
            assert!(breaker.permits(Caller::Request, now));
            breaker.failed(now);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            breaker.failed(now);
            breaker.failed(now);
            breaker.answered();
        }
        assert!(breaker.is_closed());
        assert!(!open(now).is_closed());
    }

    #[test]
    fn while_it_is_open_requests_pass_by_and_the_reconciler_tries_alone() {
        let now = Instant::now();
        let mut breaker = open(now);
        assert!(!breaker.permits(Caller::Request, now + PAUSE));
        assert!(!breaker.permits(Caller::Reconciler, now));
        assert!(breaker.permits(Caller::Reconciler, now + PAUSE));
        assert!(!breaker.permits(Caller::Reconciler, now + PAUSE), "one trial at a time");
        breaker.failed(now + PAUSE);
        assert!(
            !breaker.permits(Caller::Reconciler, now + PAUSE),
            "the pause begins again"
        );
        assert!(breaker.permits(Caller::Reconciler, now + PAUSE + PAUSE));
        breaker.answered();
        assert!(breaker.permits(Caller::Request, now + PAUSE + PAUSE));
    }

    #[test]
    fn without_a_reconciler_that_tries_a_request_does_and_a_lost_trial_is_repeated() {
        let now = Instant::now();
        let mut breaker = open(now);
        assert!(breaker.permits(Caller::Request, now + COURTESY));
        assert!(!breaker.permits(Caller::Reconciler, now + COURTESY + PAUSE));
        assert!(breaker.permits(Caller::Reconciler, now + COURTESY + TRIAL));
    }
}
