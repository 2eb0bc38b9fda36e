//! What the endpoint tells the process that starts a container, over its standard input.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Never in an argument, where other users could read the secrets among the environment.
#[derive(Serialize, Deserialize)]
pub enum Order {
    Run(Run),
    Exec(Exec),
}

/// Start a container and wait for its end.
#[derive(Clone, Serialize, Deserialize)]
pub struct Run {
    /// The image's unpacked layers; shared by every task of that image and never written to.
    pub rootfs: PathBuf,
    /// The container's own folder: `hosts`, `resolv.conf`, `root` (an empty folder to mount on), `pid`, `outcome`.
    pub folder: PathBuf,
    pub command: Command,
    /// Whether the container has a user namespace of its own; the outer process says so, for it decides.
    #[serde(default)]
    pub own_users: bool,
}

/// Run one more command in a container that is running.
#[derive(Serialize, Deserialize)]
pub struct Exec {
    /// The container's first process, as the endpoint sees it.
    pub pid: u32,
    /// The process that waits for it: it shares the user namespace that owns the container's mounts.
    pub supervisor: u32,
    pub rootfs: PathBuf,
    pub command: Command,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Command {
    pub argv: Vec<String>,
    /// The whole environment: nothing is inherited from the endpoint.
    pub env: Vec<(String, String)>,
    /// As the image says it: empty, `name`, `uid`, `name:group`, `uid:gid`.
    pub user: String,
    pub working_dir: String,
    /// Whether an init process stands above the command (`linuxParameters.initProcessEnabled`).
    #[serde(default)]
    pub init: bool,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The exit code; 128 and the signal's number when a signal ended it; none when it never started.
    pub code: Option<i32>,
    /// Why it could not be started.
    pub reason: Option<String>,
}
