//! The answers for one name, as a resolver of the VPC gives them.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The time for which a resolver keeps answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnsTtl {
    /// The TTL of the name's record.
    pub positive: Duration,
    /// The TTL of the namespace's SOA record, for the answer that the name does not exist (RFC 2308).
    pub negative: Duration,
}

/// The registered addresses of a name, and the last answer.
#[derive(Debug, Default)]
pub struct Resolver {
    state: Mutex<State>,
    next: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    registered: Vec<IpAddr>,
    ttl: Option<DnsTtl>,
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    addresses: Vec<IpAddr>,
    expires: Instant,
}

impl Resolver {
    /// Sets the registered addresses. Without a TTL, each answer is as new as they are.
    pub fn set(&self, registered: Vec<IpAddr>, ttl: Option<DnsTtl>) {
        let mut state = self.state.lock();
        state.registered = registered;
        state.ttl = ttl;
    }

    /// Returns the answer, rotated by one address at each call. Empty if the name does not exist.
    pub fn resolve(&self) -> Vec<IpAddr> {
        let mut addresses = self.state.lock().answer(Instant::now());
        if !addresses.is_empty() {
            let next = self.next.fetch_add(1, Ordering::Relaxed) % addresses.len();
            addresses.rotate_left(next);
        }
        addresses
    }

    /// Returns the time until the last answer expires; `None` if answers are not kept.
    pub fn expires_in(&self) -> Option<Duration> {
        let state = self.state.lock();
        state.ttl?;
        let expires = state.answer.as_ref().map(|answer| answer.expires);
        Some(expires.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now())))
    }
}

impl State {
    fn answer(&mut self, now: Instant) -> Vec<IpAddr> {
        let Some(ttl) = self.ttl else {
            return self.registered.clone();
        };
        if let Some(answer) = self.answer.as_ref().filter(|answer| now < answer.expires) {
            return answer.addresses.clone();
        }
        let kept = if self.registered.is_empty() {
            ttl.negative
        } else {
            ttl.positive
        };
        self.answer = Some(Answer {
            addresses: self.registered.clone(),
            expires: now + kept,
        });
        self.registered.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: DnsTtl = DnsTtl {
        positive: Duration::from_secs(10),
        negative: Duration::from_mins(5),
    };

    fn addresses(last: u8) -> Vec<IpAddr> {
        vec![IpAddr::from([127, 77, 16, last])]
    }

    #[test]
    fn an_answer_is_kept_for_the_ttl_of_the_record_and_a_negative_one_for_that_of_the_soa() {
        let now = Instant::now();
        let mut state = State {
            registered: addresses(1),
            ttl: Some(TTL),
            answer: None,
        };
        assert_eq!(state.answer(now), addresses(1));
        state.registered = addresses(2);
        assert_eq!(state.answer(now + Duration::from_secs(9)), addresses(1));
        assert_eq!(state.answer(now + Duration::from_secs(10)), addresses(2));

        state.registered.clear();
        let asked = now + Duration::from_secs(20);
        assert!(state.answer(asked).is_empty());
        state.registered = addresses(3);
        assert!(state.answer(asked + Duration::from_secs(299)).is_empty());
        assert_eq!(state.answer(asked + Duration::from_mins(5)), addresses(3));
    }

    #[test]
    fn without_a_ttl_answers_are_as_new_as_the_registrations() {
        let resolver = Resolver::default();
        assert!(resolver.resolve().is_empty());
        resolver.set(addresses(1), None);
        assert_eq!(resolver.resolve(), addresses(1));
        assert_eq!(resolver.expires_in(), None);
    }
}
