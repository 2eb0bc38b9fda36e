//! The process that holds a lock.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// The holder of a lock; the parameter's value in JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) id: String,
    user: String,
    host: String,
    pid: u32,
    /// Start of the process in clock ticks since the machine booted: a PID may be reused, but not with the same start.
    #[serde(default, rename = "born")]
    process_start: Option<u64>,
    /// Its start in seconds since 1970, by the clock of its machine.
    started: i64,
}

impl Holder {
    pub(super) fn new() -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            user: std::env::var("USER")
                .or_else(|_| std::env::var("LOGNAME"))
                .unwrap_or_else(|_| "unknown".into()),
            host: host_name(),
            pid: std::process::id(),
            process_start: process_start(std::process::id()),
            started: OffsetDateTime::now_utc().unix_timestamp(),
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{}@{} (pid {})", self.user, self.host, self.pid)
    }

    /// Returns the time of its start as RFC 3339.
    pub(super) fn since(&self) -> String {
        format_time(0.0, self.started)
    }

    /// Returns whether its process ran on this machine and has ended.
    pub(super) fn has_ended(&self) -> bool {
        let ended = || {
            i32::try_from(self.pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw)
                .is_none_or(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
        };
        // Without /proc the PID alone decides.
        let reused = || {
            let start = self.process_start;
            start.is_some_and(|start| process_start(self.pid).is_some_and(|now| now != start))
        };
        self.host == host_name() && (ended() || reused())
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns the field `starttime` of /proc/PID/stat (`proc_pid_stat(5)`); `None` if there is no such file. A zombie counts as ended.
fn process_start(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain blanks and parentheses; the state and the numbers follow it.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    if matches!(fields.first(), Some(&"Z" | &"X")) {
        return Some(0);
    }
    fields.get(19)?.parse().ok()
}

/// Formats a time some seconds after another one, in seconds since 1970, as RFC 3339.
pub(super) fn format_time(seconds: f64, later: i64) -> String {
    let base = Duration::try_from_secs_f64(seconds.trunc()).unwrap_or_default();
    let base = i64::try_from(base.as_secs()).unwrap_or_default();
    OffsetDateTime::from_unix_timestamp(base.saturating_add(later))
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_ended_if_this_machine_has_none_of_its_pid_and_start() {
        assert!(!Holder::new().has_ended());
        let mut ended = Holder::new();
        ended.pid = u32::MAX;
        assert!(ended.has_ended());
        let mut reused = Holder::new();
        reused.process_start = reused.process_start.map(|start| start - 1);
        assert!(reused.has_ended(), "another process has the same PID");
        ended.host = "elsewhere".into();
        assert!(!ended.has_ended(), "processes on other machines cannot be checked");
    }
}
