//! The memory of containers, read from /proc.
//!
//! A container is a process namespace, so its processes are those in the namespace of its first one. Pages that processes share count for
//! each of them in the resident size, and in parts in the proportional one, which takes the kernel much longer to compute.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::process::Container;

/// The processes of all containers, at one moment.
pub struct Usage {
    /// Pids and resident bytes, by process namespace.
    namespaces: HashMap<String, Vec<(u32, u64)>>,
}

impl Usage {
    /// Reads the processes of the machine that this user may inspect.
    pub fn measure() -> Self {
        let own = namespace(std::process::id());
        let mut namespaces: HashMap<String, Vec<(u32, u64)>> = HashMap::new();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
            if let Some(found) = namespace(pid).filter(|found| own.as_ref() != Some(found)) {
                namespaces.entry(found).or_default().push((pid, resident(pid)));
            }
        }
        Self { namespaces }
    }

    /// Returns the resident bytes of a container.
    pub fn of(&self, container: &Container) -> u64 {
        self.processes(container).iter().map(|(_, bytes)| bytes).sum()
    }

    /// Returns the proportional bytes of a container.
    pub fn proportional(&self, container: &Container) -> u64 {
        self.processes(container)
            .iter()
            .map(|(pid, resident)| proportional(*pid).unwrap_or(*resident))
            .sum()
    }

    /// Returns the number of processes of a container.
    pub fn count(&self, container: &Container) -> usize {
        self.processes(container).len()
    }

    fn processes(&self, container: &Container) -> &[(u32, u64)] {
        let first = container.process().filter(|process| process.is_alive());
        let namespace = first.and_then(|process| namespace(process.pid));
        let found = namespace.and_then(|namespace| self.namespaces.get(&namespace));
        found.map_or(&[], Vec::as_slice)
    }
}

fn namespace(pid: u32) -> Option<String> {
    let link = fs::read_link(Path::new("/proc").join(pid.to_string()).join("ns/pid")).ok()?;
    Some(link.to_str()?.to_owned())
}

/// Returns the `VmRSS` of `/proc/PID/status`, in bytes; 0 for a process that has ended.
fn resident(pid: u32) -> u64 {
    kilobytes(&format!("/proc/{pid}/status"), "VmRSS:").unwrap_or(0)
}

/// Returns the `Pss` of `/proc/PID/smaps_rollup`, in bytes.
fn proportional(pid: u32) -> Option<u64> {
    kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn kilobytes(file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
