//! Metrics of the process from the operating system (Linux; absent elsewhere).

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use metrics::gauge;

/// Records the start time of the process.
pub(super) fn started() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!("process_start_time_seconds").set(now.as_secs_f64().round());
}

/// Sets the gauges from /proc.
pub(super) fn update() {
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        if let Some(kilobytes) = field(&status, "VmRSS:") {
            gauge!("process_resident_memory_bytes").set(kilobytes * 1024.0);
        }
        if let Some(threads) = field(&status, "Threads:") {
            gauge!("process_threads").set(threads);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is the directory that is being read.
        gauge!("process_open_fds").set(open.count().saturating_sub(1) as f64);
    }
}

fn field(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
