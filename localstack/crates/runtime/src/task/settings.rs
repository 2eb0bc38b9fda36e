//! Settings of a container besides its command: volumes, resource limits and capabilities.

use std::path::PathBuf;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

/// The capabilities of a container's root, as in container engines.
const DEFAULT_CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT);

/// The resource limits by the names of ECS (`Ulimit`).
const LIMITS: [(&str, Resource); 15] = [
    ("core", Resource::Core),
    ("cpu", Resource::Cpu),
    ("data", Resource::Data),
    ("fsize", Resource::Fsize),
    ("locks", Resource::Locks),
    ("memlock", Resource::Memlock),
    ("msgqueue", Resource::Msgqueue),
    ("nice", Resource::Nice),
    ("nofile", Resource::Nofile),
    ("nproc", Resource::Nproc),
    ("rss", Resource::Rss),
    ("rtprio", Resource::Rtprio),
    ("rttime", Resource::Rttime),
    ("sigpending", Resource::Sigpending),
    ("stack", Resource::Stack),
];

/// Settings of a container besides its command.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Settings {
    /// Volumes that the container sees.
    pub mounts: Vec<VolumeMount>,
    /// Resource limits.
    pub limits: Vec<Limit>,
    /// Names of capabilities, such as `SYS_PTRACE`, that are added to the default ones.
    pub added_capabilities: Vec<String>,
    /// Names of capabilities that are removed, or `ALL`.
    pub dropped_capabilities: Vec<String>,
}

/// A folder of the task in a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeMount {
    /// Absolute path on the machine.
    pub source: PathBuf,
    /// Absolute path in the container.
    pub target: PathBuf,
    /// True if the container cannot write to it.
    pub read_only: bool,
}

/// A resource limit of the container's processes; `None` for no limit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limit {
    /// The name in the API of ECS.
    pub name: String,
    /// The limit in effect.
    pub soft: Option<u64>,
    /// The limit that the container can set.
    pub hard: Option<u64>,
}

impl Settings {
    /// Sets the limits of this process.
    ///
    /// # Errors
    /// When a hard limit is above that of the endpoint, which only root can raise.
    pub fn apply_limits(&self) -> anyhow::Result<()> {
        for limit in &self.limits {
            let known = LIMITS.iter().find(|(name, _)| *name == limit.name);
            let (name, resource) = known.with_context(|| format!("there is no ulimit {}", limit.name))?;
            let new = Rlimit {
                current: limit.soft,
                maximum: limit.hard,
            };
            setrlimit(*resource, new).with_context(|| format!("cannot set the ulimit {name}"))?;
        }
        Ok(())
    }

    /// Returns the capabilities of the container's root.
    pub fn capabilities(&self) -> CapabilitySet {
        let named = |names: &[String]| {
            let sets = names.iter().map(|name| match name.as_str() {
                "ALL" => CapabilitySet::all(),
                name => CapabilitySet::from_name(name).unwrap_or_else(CapabilitySet::empty),
            });
            sets.fold(CapabilitySet::empty(), CapabilitySet::union)
        };
        (DEFAULT_CAPABILITIES - named(&self.dropped_capabilities)) | named(&self.added_capabilities)
    }
}

/// Returns true for a name of a resource limit.
pub fn is_limit(name: &str) -> bool {
    LIMITS.iter().any(|(known, _)| *known == name)
}

/// Returns true for a name of a capability, or `ALL`.
pub fn is_capability(name: &str) -> bool {
    name == "ALL" || CapabilitySet::from_name(name).is_some()
}
