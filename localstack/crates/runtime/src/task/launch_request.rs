//! Requests to the process that starts a container, sent on its standard input.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::settings::Settings;

/// A request; never passed as an argument, where other users could read the secrets in the environment.
#[derive(Serialize, Deserialize)]
pub enum LaunchRequest {
    /// Starts a container.
    Run(Run),
    /// Runs a command in a container.
    Exec(Exec),
}

/// Starts a container and waits until it ends.
#[derive(Clone, Serialize, Deserialize)]
pub struct Run {
    /// The image's unpacked layers, shared by every task of that image and never written to.
    pub rootfs: PathBuf,
    /// The container's own folder: `hosts`, `resolv.conf`, `root` (an empty folder to mount on), `pid`, `exit_status`.
    pub folder: PathBuf,
    /// Its first process.
    pub command: Command,
    /// Its volumes and limits.
    #[serde(default)]
    pub settings: Settings,
    /// True if the container has a user namespace; the supervisor sets it.
    #[serde(default)]
    pub has_user_namespace: bool,
}

/// Runs one more command in a running container.
#[derive(Serialize, Deserialize)]
pub struct Exec {
    /// The container's first process, in the endpoint's process namespace.
    pub pid: u32,
    /// The container's supervisor, which is in the user namespace that owns the container's mounts.
    pub supervisor: u32,
    /// The unpacked layers of the image.
    pub rootfs: PathBuf,
    /// Shares the namespaces of the container.
    pub command: Command,
}

/// A command and its environment.
#[derive(Clone, Serialize, Deserialize)]
pub struct Command {
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    /// The complete environment: nothing is inherited from the endpoint.
    pub env: Vec<(String, String)>,
    /// In the form of the image: empty, `name`, `uid`, `name:group` or `uid:gid`.
    pub user: String,
    /// Absolute path in the container; empty for `/`.
    pub working_dir: String,
    /// True if the command runs under an init process (`linuxParameters.initProcessEnabled`).
    #[serde(default)]
    pub init: bool,
}

/// The exit status of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// The exit code; 128 and the signal's number if a signal ended it; `None` if it never started.
    pub code: Option<i32>,
    /// The reason why it could not be started.
    pub reason: Option<String>,
}
