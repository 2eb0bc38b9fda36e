//! Which process is meant: a pid alone may have been given to somebody else since.

use serde::{Deserialize, Serialize};

/// A pid and the moment, in clock ticks since boot, at which that process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: u32,
    pub started: u64,
}

impl Identity {
    /// The process that has this pid now; none when there is no such process, or only its unreaped remains.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command's name stands in parentheses and may itself hold any character.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let state = *fields.first()?;
        if state == "Z" || state == "X" {
            return None;
        }
        Some(Self {
            pid,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends a signal when the process is still the one that is meant; says whether it was.
    pub fn signal(self, signal: rustix::process::Signal) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw) else {
            return false;
        };
        self.is_alive() && rustix::process::kill_process(pid, signal).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_with_the_same_pid_is_not_the_one_that_is_meant() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(
            !Identity {
                started: me.started + 1,
                ..me
            }
            .is_alive()
        );
    }
}
