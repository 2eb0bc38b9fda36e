//! A server process that outlives the endpoint's death: found again by pid and start time, restarted when it dies.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::task::Identity;

/// Starts a server in a process group of its own, its words appended to `log`, and reaps it when it ends.
///
/// Where the command ends in `exec`, the pid is the server's.
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

/// Ends a server: `signal`, and after `patience` SIGKILL. Returns when it is gone.
pub async fn stop(server: Identity, signal: Signal, patience: Duration) {
    server.signal(signal);
    let until = Instant::now() + patience;
    while server.is_alive() {
        if Instant::now() > until {
            server.signal(Signal::KILL);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until nobody listens at an address; a process that was just killed holds its port for a moment longer.
pub async fn is_free(address: std::net::Ipv4Addr, port: u16) -> bool {
    let until = Instant::now() + Duration::from_secs(3);
    while tokio::net::TcpStream::connect((address, port)).await.is_ok() {
        if Instant::now() > until {
            return false;
        }
        sleep(Duration::from_millis(50)).await;
    }
    true
}

/// The end of a log, for the error that says why a server does not run.
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

/// Looks for a program on PATH.
pub fn on_path(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
