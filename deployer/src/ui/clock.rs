//! Moments, passed in from outside, and how lengths of time are said.

use std::time::{Duration, Instant};

use time::OffsetDateTime;

/// A moment: how long the run has lasted, and what clocks on walls show.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub run: Duration,
    pub wall: OffsetDateTime,
}

impl Now {
    /// The present, of a run that began then.
    pub fn since(began: Instant) -> Self {
        Self {
            run: began.elapsed(),
            wall: OffsetDateTime::now_utc(),
        }
    }
}

/// `14 s`, `2 min 5 s`, `1 h 4 min`.
pub fn whole(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// What something took: tenths of seconds up to a minute.
pub fn took(seconds: f32) -> String {
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        whole(Duration::from_secs_f32(seconds))
    }
}

/// `~40 s left`, `~12 min left`; nothing once it takes longer than expected.
pub fn left(expected: f64, elapsed: Duration) -> Option<String> {
    let seconds = expected - elapsed.as_secs_f64();
    match seconds {
        s if s < 1.0 => None,
        s if s < 90.0 => Some(format!("~{s:.0} s left")),
        s => Some(format!("~{:.0} min left", s / 60.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_roughly_and_only_while_it_is_so() {
        let of = |expected, elapsed| left(expected, Duration::from_secs(elapsed));
        assert_eq!(of(1833.0, 30).as_deref(), Some("~30 min left"));
        assert_eq!(of(116.0, 60).as_deref(), Some("~56 s left"));
        assert_eq!(of(116.0, 117), None);
    }
}
