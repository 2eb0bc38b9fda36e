//! The endpoint's side of a container: start it, look at it, signal it.

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

use super::order::Command as Wanted;
use super::{ARGUMENT, Exec, Identity, Order, Outcome, Run};

/// A container that was started, by this endpoint or by one before it.
#[derive(Debug, Clone)]
pub struct Container {
    /// Holds `output`, `hosts`, `pid`, `outcome`.
    pub folder: PathBuf,
    /// The process that waits for the container.
    pub supervisor: Identity,
}

/// Starts a container. What it writes goes to `folder/output`; how it ends, to `folder/outcome`.
pub async fn start(folder: &Path, rootfs: &Path, command: Wanted) -> anyhow::Result<Container> {
    fs::create_dir_all(folder.join("root")).with_context(|| format!("cannot make {}", folder.display()))?;
    for stale in ["outcome", "failure", "pid"] {
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
    let order = Order::Run(Run {
        rootfs: rootfs.into(),
        folder: folder.into(),
        command,
        own_users: false,
    });
    let mut child = launcher()
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .context("cannot start a process")?;
    let supervisor = child
        .id()
        .and_then(Identity::of)
        .context("the process that starts the container is gone")?;
    let mut pipe = child
        .stdin
        .take()
        .context("no pipe to the process that starts the container")?;
    pipe.write_all(&serde_json::to_vec(&order)?).await?;
    drop(pipe);
    // Reaps it; how the container ended is read from the file, as for one that is adopted.
    tokio::spawn(async move { child.wait().await });
    Ok(Container {
        folder: folder.into(),
        supervisor,
    })
}

impl Container {
    /// How it ended; none while it runs. A container whose supervisor was killed counts as killed.
    pub fn outcome(&self) -> Option<Outcome> {
        if let Some(outcome) = read(&self.folder.join("outcome")) {
            return Some(outcome);
        }
        if self.supervisor.is_alive() || self.process().is_some_and(Identity::is_alive) {
            return None;
        }
        // It may have ended between the two looks.
        Some(read(&self.folder.join("outcome")).unwrap_or(Outcome {
            code: Some(137),
            reason: None,
        }))
    }

    /// The container's first process, once there is one.
    pub fn process(&self) -> Option<Identity> {
        read(&self.folder.join("pid"))
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(process) = self.process() {
            process.signal(signal);
        } else if signal == Signal::KILL {
            self.supervisor.signal(signal);
        }
    }

    pub async fn ended(&self) -> Outcome {
        loop {
            if let Some(outcome) = self.outcome() {
                return outcome;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Asks it to end, waits for `grace`, then kills it.
    pub async fn end(&self, grace: Duration) -> Outcome {
        self.signal(Signal::TERM);
        if let Ok(outcome) = tokio::time::timeout(grace, self.ended()).await {
            return outcome;
        }
        self.signal(Signal::KILL);
        self.ended().await
    }

    /// Runs a command inside; true when it exits with 0 in time.
    pub async fn succeeds(&self, rootfs: &Path, command: Wanted, timeout: Duration) -> anyhow::Result<bool> {
        let process = self.process().context("the container has no process")?;
        let supervisor = self.supervisor.pid;
        let order = Order::Exec(Exec {
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
        pipe.write_all(&serde_json::to_vec(&order)?).await?;
        drop(pipe);
        match tokio::time::timeout(timeout, child.wait()).await {
            Ok(status) => Ok(status?.success()),
            Err(_) => Ok(false),
        }
    }
}

/// This binary again; by its link in /proc, for a rebuild may have replaced the file since.
fn launcher() -> Command {
    let mut command = std::process::Command::new("/proc/self/exe");
    command
        .arg0("localstack-task")
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
