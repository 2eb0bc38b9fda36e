//! One line of each kind in 30 s: a broker that is away makes librdkafka say so a thousand times a minute.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

/// How long a kind of trouble is not told again.
const SILENCE: Duration = Duration::from_secs(30);
/// Most kinds that are told apart; librdkafka has some dozens.
const KINDS: usize = 200;

/// Tells of a trouble of librdkafka, unless the same kind was told lately; the metric counts all.
pub(super) fn warn(kind: &str, message: &str) {
    metrics::counter!("kafka_client_troubles_total", "kind" => kind.to_owned()).increment(1);
    if let Some(left_out) = tell(kind) {
        tracing::warn!(kafka.trouble = kind, left_out, "librdkafka: {message}");
    }
}

/// Whether this kind may be told now, for the whole process: how many of it were not since the last.
pub(super) fn tell(kind: &str) -> Option<u64> {
    static TOLD: OnceLock<Mutex<Told>> = OnceLock::new();
    let told = TOLD.get_or_init(Mutex::default);
    let mut told = told.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    told.admit(kind, Instant::now())
}

/// When each kind was told last, and how many were left out since.
#[derive(Default)]
struct Told(HashMap<String, (Instant, u64)>);

impl Told {
    fn admit(&mut self, kind: &str, now: Instant) -> Option<u64> {
        if let Some((last, left_out)) = self.0.get_mut(kind) {
            if now.duration_since(*last) < SILENCE {
                *left_out += 1;
                return None;
            }
            let count = std::mem::take(left_out);
            *last = now;
            return Some(count);
        }
        if self.0.len() >= KINDS {
            self.0.retain(|_, (last, _)| now.duration_since(*last) < SILENCE);
        }
        self.0.insert(kind.to_owned(), (now, 0));
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_thousand_lines_in_twelve_minutes_become_two_a_minute_and_none_is_uncounted() {
        let (mut told, start) = (Told::default(), Instant::now());
        let (mut lines, mut counted) = (0, 0);
        for n in 0..12_000 {
            if let Some(left_out) = told.admit("AllBrokersDown", start + Duration::from_millis(60 * n)) {
                lines += 1;
                counted += left_out + 1;
            }
        }
        assert_eq!(lines, 24);
        assert!((11_500..=12_000).contains(&counted), "{counted}");
        assert_eq!(told.admit("Resolve", start), Some(0), "another kind is told at once");
    }

    #[test]
    fn the_kinds_are_bounded() {
        let (mut told, start) = (Told::default(), Instant::now());
        for n in 0..10_000_u64 {
            let _ = told.admit(&format!("kind {n}"), start + Duration::from_secs(n));
        }
        assert!(told.0.len() <= KINDS, "{}", told.0.len());
    }
}
