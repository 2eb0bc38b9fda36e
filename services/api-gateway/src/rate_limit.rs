//! Rate limit: a token bucket for each caller.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::caller::CallerKey;

/// Maximum number of callers that are remembered; an entry takes about 60 bytes.
const CAPACITY: usize = 100_000;

/// Request rate that one caller may have.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Requests per second in the long run.
    pub per_second: f64,
    /// Requests in one burst.
    pub burst: f64,
}

/// Counts the requests of callers in this process alone.
pub struct RateLimiter {
    rate: Rate,
    buckets: Mutex<HashMap<CallerKey, Bucket>>,
}

struct Bucket {
    tokens: f64,
    updated_at: Instant,
}

impl RateLimiter {
    /// Returns a limiter in which every bucket is full.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: Mutex::default(),
        }
    }

    /// Takes one token of the caller.
    ///
    /// # Errors
    /// The time until the next token, if there is none.
    pub fn take(&self, key: CallerKey, now: Instant) -> Result<(), Duration> {
        let Rate { per_second, burst } = self.rate;
        let mut buckets = self.buckets.lock();
        if buckets.len() >= CAPACITY && !buckets.contains_key(&key) {
            // A full bucket means the same as a missing one. If none is full, clearing all is the lesser evil.
            buckets.retain(|_, bucket| bucket.level(per_second, now) < burst);
            if buckets.len() >= CAPACITY {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            tokens: burst,
            updated_at: now,
        });
        bucket.tokens = bucket.level(per_second, now).min(burst);
        bucket.updated_at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            Ok(())
        } else {
            Err(Duration::from_secs_f64((1.0 - bucket.tokens) / per_second))
        }
    }
}

impl Bucket {
    fn level(&self, per_second: f64, now: Instant) -> f64 {
        self.tokens + now.saturating_duration_since(self.updated_at).as_secs_f64() * per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_applies_and_other_callers_are_not_affected() {
        let limiter = RateLimiter::new(Rate {
            per_second: 2.0,
            burst: 3.0,
        });
        let caller = |text: &str| CallerKey::address(text.parse().ok());
        let (start, key) = (Instant::now(), caller("192.0.2.1"));
        for _ in 0..3 {
            assert_eq!(limiter.take(key, start), Ok(()));
        }
        assert_eq!(limiter.take(key, start), Err(Duration::from_millis(500)));
        assert_eq!(limiter.take(caller("192.0.2.2"), start), Ok(()));
        assert_eq!(limiter.take(key, start + Duration::from_millis(600)), Ok(()));
        assert!(limiter.take(key, start + Duration::from_millis(600)).is_err());
    }
}
