//! Warnings of librdkafka: each is counted, and the log has one line of each kind in 30 s.
//!
//! An unreachable broker makes librdkafka log a thousand lines a minute.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::telemetry::LogThrottle;

static THROTTLE: LazyLock<Mutex<LogThrottle>> = LazyLock::new(|| Mutex::new(LogThrottle::new(Duration::from_secs(30))));

/// Counts an error of librdkafka and logs it, unless the same kind was logged in the last 30 s.
pub(super) fn warn(kind: &str, message: &str) {
    metrics::counter!("kafka_client_errors_total", "kind" => kind.to_owned()).increment(1);
    let suppressed = THROTTLE.lock().should_log(kind, Instant::now());
    if let Some(suppressed) = suppressed {
        tracing::warn!(kafka.error = kind, suppressed, "librdkafka: {message}");
    }
}
