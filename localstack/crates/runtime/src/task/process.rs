//! Handle on a container: start, inspect, signal and stop it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{ARGUMENT, Exec, ExitStatus, Identity, LaunchRequest, Run, Settings, launch_request};

/// The file in a container's folder that marks it as killed for its use of memory.
const OUT_OF_MEMORY: &str = "out_of_memory";

/// A container that was started by this endpoint or by an earlier one.
#[derive(Debug, Clone)]
pub struct Container {
    /// Contains `output`, `hosts`, `supervisor`, `pid`, `exit_status`.
    pub folder: PathBuf,
    /// The process that waits for the container.
    pub supervisor: Identity,
}

/// Starts a container. Its output goes to `folder/output`, its exit status to `folder/exit_status`.
///
/// # Errors
/// When the folder cannot be written, or the process cannot be started.
pub async fn start(
    folder: &Path,
    rootfs: &Path,
    command: launch_request::Command,
    settings: Settings,
) -> anyhow::Result<Container> {
    fs::create_dir_all(folder.join("root")).with_context(|| format!("cannot create {}", folder.display()))?;
    for stale in ["exit_status", "failure", "pid", "supervisor", OUT_OF_MEMORY] {
        let _ = fs::remove_file(folder.join(stale));
    }
    for (name, text) in [
        ("hosts", "127.0.0.1\tlocalhost\n"),
        ("resolv.conf", "options timeout:1\n"),
        ("hostname", "localhost\n"),
    ] {
        if !folder.join(name).exists() {
            fs::write(folder.join(name), text)?;
        }
    }
    let output = append(&folder.join("output"))?;
    let request = LaunchRequest::Run(Run {
        rootfs: rootfs.into(),
        folder: folder.into(),
        command,
        settings,
        has_user_namespace: false,
    });
    let mut child = launcher()
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .context("cannot start a process")?;
    let supervisor = child
        .id()
        .and_then(Identity::of)
        .context("the process that starts the container ended at once")?;
    let mut pipe = child
        .stdin
        .take()
        .context("no pipe to the process that starts the container")?;
    pipe.write_all(&serde_json::to_vec(&request)?).await?;
    drop(pipe);
    // Reaps it; the exit status is read from the file, as for an adopted container.
    tokio::spawn(async move { child.wait().await });
    Ok(Container {
        folder: folder.into(),
        supervisor,
    })
}

impl Container {
    /// Returns the supervisor that was started in a folder and still runs, or whose container does.
    pub fn supervisor_in(folder: &Path) -> Option<Identity> {
        let supervisor: Identity = read(&folder.join("supervisor"))?;
        let process: Option<Identity> = read(&folder.join("pid"));
        (supervisor.is_alive() || process.is_some_and(Identity::is_alive)).then_some(supervisor)
    }

    /// Returns the exit status; `None` while the container runs. A container whose supervisor was killed counts as killed.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        let file = self.folder.join("exit_status");
        if let Some(status) = read(&file) {
            return Some(status);
        }
        if self.supervisor.is_alive() || self.process().is_some_and(Identity::is_alive) {
            return None;
        }
        // It may have ended after the file was read.
        Some(read(&file).unwrap_or(ExitStatus {
            code: Some(137),
            reason: None,
        }))
    }

    /// Returns the container's first process, once it is started.
    pub fn process(&self) -> Option<Identity> {
        read(&self.folder.join("pid"))
    }

    /// Sends a signal to the first process; a SIGKILL before it has started ends the supervisor.
    pub fn signal(&self, signal: Signal) {
        if let Some(process) = self.process() {
            process.signal(signal);
        } else if signal == Signal::KILL {
            self.supervisor.signal(signal);
        }
    }

    /// Kills the container because it uses more memory than it may.
    pub fn kill_for_memory(&self) {
        let _ = fs::write(self.folder.join(OUT_OF_MEMORY), "");
        self.signal(Signal::KILL);
    }

    /// Returns true if the container was killed because it used more memory than it may.
    pub fn ran_out_of_memory(&self) -> bool {
        self.folder.join(OUT_OF_MEMORY).exists()
    }

    /// Waits until the container ends.
    pub async fn wait(&self) -> ExitStatus {
        loop {
            if let Some(status) = self.exit_status() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Sends SIGTERM, and SIGKILL after `grace`. Returns when the container has ended.
    pub async fn stop(&self, grace: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        if let Ok(status) = tokio::time::timeout(grace, self.wait()).await {
            return status;
        }
        self.signal(Signal::KILL);
        self.wait().await
    }

    /// Runs a command in the container. Returns true if it exits with 0 before the timeout.
    ///
    /// # Errors
    /// When the container has no process, or the command cannot be started.
    pub async fn exec_succeeds(
        &self,
        rootfs: &Path,
        command: launch_request::Command,
        timeout: Duration,
    ) -> anyhow::Result<bool> {
        let process = self.process().context("the container has no process")?;
        let supervisor = self.supervisor.pid;
        let request = LaunchRequest::Exec(Exec {
            pid: process.pid,
            supervisor,
            rootfs: rootfs.into(),
            command,
        });
        let mut child = launcher()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut pipe = child
            .stdin
            .take()
            .context("no pipe to the process that runs the command")?;
        pipe.write_all(&serde_json::to_vec(&request)?).await?;
        drop(pipe);
        match tokio::time::timeout(timeout, child.wait()).await {
            Ok(status) => Ok(status?.success()),
            Err(_) => Ok(false),
        }
    }
}

/// Returns a command for the running binary, by its link in /proc, because a build may have replaced the file.
fn launcher() -> Command {
    let mut command = std::process::Command::new("/proc/self/exe");
    command
        .arg0("endpoint-task")
        .arg(ARGUMENT)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped());
    Command::from(command)
}

fn append(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
