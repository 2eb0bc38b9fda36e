//! Server processes that survive the endpoint: identified by pid and start time, and found again by both.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::task::Identity;

/// Starts a server in a separate process group, appends its output to `log`, and reaps it when it ends.
///
/// The pid is the server's if the command ends in `exec`.
///
/// # Errors
/// When the program cannot be started, or ends at once.
pub fn start(mut command: Command, log: &Path) -> anyhow::Result<Identity> {
    let out = OpenOptions::new().create(true).append(true).open(log);
    let out = out.with_context(|| format!("cannot write {}", log.display()))?;
    command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .process_group(0)
        .kill_on_drop(false);
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
    let identity = child.id().and_then(Identity::of);
    tokio::spawn(async move {
        let _ = child.wait().await;
    });
    identity.with_context(|| format!("{program} ended at once:\n{}", last_lines(log)))
}

/// Stops a server: sends `signal`, and SIGKILL after `timeout`. Returns when the process has ended.
pub async fn stop(server: Identity, signal: Signal, timeout: Duration) {
    server.signal(signal);
    let deadline = Instant::now() + timeout;
    while server.is_alive() {
        if Instant::now() > deadline {
            server.signal(Signal::KILL);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until nothing listens at an address, and returns false if something still does after three seconds. The port of a
/// killed process stays open for a moment.
pub async fn wait_until_free(address: Ipv4Addr, port: u16) -> bool {
    let deadline = Instant::now() + Duration::from_secs(3);
    while TcpStream::connect((address, port)).await.is_ok() {
        if Instant::now() > deadline {
            return false;
        }
        sleep(Duration::from_millis(50)).await;
    }
    true
}

/// Returns the end of a log, for the error that explains why a server does not run.
pub fn last_lines(log: &Path) -> String {
    let tail = || -> std::io::Result<String> {
        let mut file = fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(2000)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = tail().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// Returns the path of a program on PATH.
pub fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
