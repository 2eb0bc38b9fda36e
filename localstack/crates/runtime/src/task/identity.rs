//! The identity of a process: its pid alone may be reused by another process.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A pid and the start time of that process, in clock ticks since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`.
    pub started: u64,
}

impl Identity {
    /// Returns the identity of the process that has this pid now; `None` if there is none, or it is a zombie.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command's name is in parentheses and may contain any character.
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

    /// Returns true if the process runs and is not a zombie.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Returns true if the folder is the process's working directory, also at another path of a mount namespace.
    pub fn runs_in(self, folder: &Path) -> bool {
        let file = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let folder = file(folder);
        folder.is_some()
            && file(&Path::new("/proc").join(self.pid.to_string()).join("cwd")) == folder
            && self.is_alive()
    }

    /// Returns a process of one of the programs whose working directory is the folder: one that was started there and not recorded. Other
    /// programs, such as a person's shell, may work there too.
    pub fn find_in(folder: &Path, programs: &[&str]) -> Option<Self> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Self::of).find(|process| {
            let name = std::fs::read_to_string(format!("/proc/{}/comm", process.pid)).unwrap_or_default();
            programs.contains(&name.trim_end()) && process.runs_in(folder)
        })
    }

    /// Sends a signal if the process still has this identity. Returns true if the signal was sent.
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
    fn a_process_is_found_by_its_working_directory() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Identity::find_in(folder.path(), &["sleep"]), None);
        let mut child = std::process::Command::new("sleep");
        let mut child = child.arg("60").current_dir(folder.path()).spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        assert_eq!(Identity::find_in(folder.path(), &["other", "sleep"]), Some(identity));
        assert_eq!(Identity::find_in(folder.path(), &["other"]), None);
        assert!(identity.runs_in(folder.path()) && !identity.runs_in(Path::new("/")));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!identity.runs_in(folder.path()));
    }

    #[test]
    fn a_process_with_the_same_pid_and_another_start_time_is_not_the_same() {
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
