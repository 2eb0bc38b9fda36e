//! Rates: a bucket of tokens for each user or address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use uuid::Uuid;

/// What one caller may do.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Requests a second, for long.
    pub per_second: f64,
    /// Requests at once.
    pub burst: f64,
}

/// Who is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    User(Uuid),
    /// An IPv6 address stands for its /64, which is what one customer has.
    Address(Option<IpAddr>),
}

impl Key {
    /// The key of an address.
    pub fn address(address: Option<IpAddr>) -> Key {
        Key::Address(address.map(|address| match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
            v4 => v4,
        }))
    }
}

/// Counts callers, in this process alone.
pub struct Limiter {
    rate: Rate,
    buckets: Mutex<HashMap<Key, Bucket>>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

/// Callers that are remembered at most; an entry takes some 60 bytes.
const CAPACITY: usize = 100_000;

impl Limiter {
    pub fn new(rate: Rate) -> Limiter {
        Limiter {
            rate,
            buckets: Mutex::default(),
        }
    }

    /// Takes one token; otherwise tells how long until there is one.
    pub fn take(&self, key: Key, now: Instant) -> Result<(), Duration> {
        let Rate { per_second, burst } = self.rate;
        let mut buckets = self.buckets.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if buckets.len() >= CAPACITY && !buckets.contains_key(&key) {
            // A full bucket says no more than a missing one. If none is full, forgetting all is the lesser evil.
            buckets.retain(|_, bucket| bucket.level(per_second, now) < burst);
            if buckets.len() >= CAPACITY {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: burst, at: now });
        bucket.tokens = bucket.level(per_second, now).min(burst);
        bucket.at = now;
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
        self.tokens + now.saturating_duration_since(self.at).as_secs_f64() * per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds_and_others_are_not_touched() {
        let limiter = Limiter::new(Rate {
            per_second: 2.0,
            burst: 3.0,
        });
        let (start, key) = (Instant::now(), Key::address("192.0.2.1".parse().ok()));
        for _ in 0..3 {
            assert_eq!(limiter.take(key, start), Ok(()));
        }
        assert_eq!(limiter.take(key, start), Err(Duration::from_millis(500)));
        assert_eq!(limiter.take(Key::address("192.0.2.2".parse().ok()), start), Ok(()));
        assert_eq!(limiter.take(key, start + Duration::from_millis(600)), Ok(()));
        assert!(limiter.take(key, start + Duration::from_millis(600)).is_err());
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_caller() {
        let key = |text: &str| Key::address(text.parse().ok());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }
}
