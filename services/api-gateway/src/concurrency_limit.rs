//! Limits of requests in flight: in total, and of one caller.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::caller::CallerKey;

/// Maximum numbers of requests in flight.
#[derive(Debug, Clone, Copy)]
pub struct ConcurrencyLimits {
    /// Of all callers together.
    pub total: u32,
    /// Of one caller, so that one slow client cannot exhaust the total.
    pub per_caller: u32,
}

/// The limit that a request has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitReached {
    /// [`ConcurrencyLimits::total`].
    Total,
    /// [`ConcurrencyLimits::per_caller`].
    Caller,
}

/// Counts the requests in flight in this process alone; cheap to clone.
#[derive(Clone)]
pub struct ConcurrencyLimiter {
    limits: ConcurrencyLimits,
    in_flight: Arc<Mutex<InFlight>>,
}

#[derive(Default)]
struct InFlight {
    total: u32,
    by_caller: HashMap<CallerKey, u32>,
}

impl ConcurrencyLimiter {
    /// Returns a limiter without requests in flight.
    pub fn new(limits: ConcurrencyLimits) -> Self {
        Self {
            limits,
            in_flight: Arc::default(),
        }
    }

    /// Acquires a permit for one request, released when it is dropped.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn acquire(&self, key: CallerKey) -> Result<Permit, LimitReached> {
        let mut in_flight = self.in_flight.lock();
        let own = in_flight.by_caller.get(&key).copied().unwrap_or_default();
        if own >= self.limits.per_caller {
            return Err(LimitReached::Caller);
        }
        if in_flight.total >= self.limits.total {
            return Err(LimitReached::Total);
        }
        in_flight.total += 1;
        in_flight.by_caller.insert(key, own + 1);
        Ok(Permit {
            limiter: self.clone(),
            key,
        })
    }
}

/// The right to have one request in flight.
pub struct Permit {
    limiter: ConcurrencyLimiter,
    key: CallerKey,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut in_flight = self.limiter.in_flight.lock();
        in_flight.total -= 1;
        match in_flight.by_caller.get_mut(&self.key) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(in_flight.by_caller.remove(&self.key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_cannot_exhaust_the_total_and_a_caller_without_requests_takes_no_memory() {
        let limiter = ConcurrencyLimiter::new(ConcurrencyLimits {
            total: 3,
            per_caller: 2,
        });
        let key = |text: &str| CallerKey::address(text.parse().ok());
        let (slow, other) = (key("192.0.2.1"), key("192.0.2.2"));
        let held = [limiter.acquire(slow), limiter.acquire(slow)];
        assert_eq!(limiter.acquire(slow).err(), Some(LimitReached::Caller));
        let last = limiter.acquire(other);
        assert!(last.is_ok());
        assert_eq!(limiter.acquire(key("192.0.2.3")).err(), Some(LimitReached::Total));
        drop((held, last));
        let in_flight = limiter.in_flight.lock();
        assert_eq!((in_flight.total, in_flight.by_caller.len()), (0, 0));
    }
}
