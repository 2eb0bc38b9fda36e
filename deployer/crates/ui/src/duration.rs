//! Durations as text.

use std::time::Duration;

/// Returns whole seconds as `14 s`, `2 min 5 s` or `1 h 4 min`.
pub fn format_duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Returns an elapsed time, with tenths of seconds up to a minute.
pub fn format_elapsed(seconds: f32) -> String {
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format_duration(Duration::from_secs_f32(seconds))
    }
}

/// Returns the remaining time as `~40 s left` or `~12 min left`; `None` once it takes longer than expected.
pub fn format_remaining(expected_seconds: f64, elapsed: Duration) -> Option<String> {
    let seconds = expected_seconds - elapsed.as_secs_f64();
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
    fn the_remaining_time_is_rounded_and_disappears_once_it_has_passed() {
        let of = |expected, elapsed| format_remaining(expected, Duration::from_secs(elapsed));
        assert_eq!(of(1833.0, 30).as_deref(), Some("~30 min left"));
        assert_eq!(of(116.0, 60).as_deref(), Some("~56 s left"));
        assert_eq!(of(116.0, 117), None);
    }
}
