//! The embedded endpoint as a process: start it in the background, stop it, remove its state. The only module that links the endpoint.

mod link;
pub mod listener;

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws::connectivity::ConnectError;
use aws::endpoint::{Probe, probe};
use aws::{TimedOut, http};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

pub use link::{Behavior, Dns, QuotaValue, Slow, broker, postgres_version, retained_snapshots, run_task, serve};

/// Timeout of the start.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// Timeout of the stop: the endpoint ends its processes first.
const STOP_TIMEOUT: Duration = Duration::from_secs(90);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Options of the process.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    pub port: u16,
    pub state_dir: PathBuf,
    /// Second octet of the loopback addresses of its tasks.
    pub loopback_octet: u8,
    pub region: Option<String>,
    /// Kafka broker; the installed one by default.
    pub broker: Option<String>,
    /// Delays and limits of AWS that it imitates.
    pub behavior: Behavior,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the embedded endpoint did not start: {reason}")]
    Start { reason: String, log: PathBuf },
    #[error("the embedded endpoint cannot write its state to {}: {source}", path.display())]
    StateDir { path: PathBuf, source: std::io::Error },
    #[error("the endpoint on port {port} uses another state directory than {}", state_dir.display())]
    OtherStateDir { port: u16, state_dir: PathBuf },
    #[error("refusing to remove {}: it is not an endpoint state directory", path.display())]
    NotAStateDir { path: PathBuf },
    #[error("cannot remove {}: {source}", path.display())]
    RemoveState { path: PathBuf, source: std::io::Error },
    #[error("cannot start the program of this process again: {0}")]
    Program(std::io::Error),
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    #[error(transparent)]
    InvalidUrl(#[from] ConnectError),
}

impl EmbeddedOptions {
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn log(&self) -> PathBuf {
        self.state_dir.join("endpoint.log")
    }
}

/// An endpoint that has been started and may not answer yet.
pub struct Starting {
    options: EmbeddedOptions,
    child: Child,
}

impl Starting {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// It has ended, or does not answer in time.
    pub async fn wait(mut self) -> Result<(), Error> {
        let (start, log) = (Instant::now(), self.options.log());
        let failed = |reason: String| Error::Start {
            reason,
            log: log.clone(),
        };
        loop {
            let ended = self.child.try_wait().ok().flatten();
            // If it has ended because another `up` started an endpoint at the same moment, that one is as good.
            if matches!(probe(&self.options.url()).await?, Probe::Endpoint(_)) {
                return Ok(());
            }
            if let Some(status) = ended {
                return Err(failed(format!("it ended with {status}: {}", last_line(&log))));
            }
            if start.elapsed() > START_TIMEOUT {
                let _ = self.child.kill();
                let seconds = START_TIMEOUT.as_secs();
                return Err(failed(format!("no response within {seconds} s: {}", last_line(&log))));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Starts the endpoint in a new session.
///
/// # Errors
/// The state directory is not writable, or the process cannot be started.
pub fn start(options: &EmbeddedOptions) -> Result<Starting, Error> {
    let EmbeddedOptions { state_dir, .. } = options;
    let not_writable = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::StateDir { path, source }
    };
    std::fs::create_dir_all(state_dir).map_err(not_writable(state_dir))?;
    let log = options.log();
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&log)
        .map_err(not_writable(&log))?;
    let copy = file.try_clone().map_err(not_writable(&log))?;
    let mut command = Command::new(std::env::current_exe().map_err(Error::Program)?);
    command.args(["endpoint", "start", "--foreground", "--detached"]);
    command.args(["--port", &options.port.to_string()]);
    command.args(["--loopback-octet", &options.loopback_octet.to_string()]);
    command.arg("--state-dir").arg(state_dir);
    if let Some(region) = &options.region {
        command.args(["--region", region]);
    }
    if let Some(broker) = &options.broker {
        command.args(["--broker", broker]);
    }
    for slow in &options.behavior.slow {
        command.args(["--slow", &slow.to_string()]);
    }
    for quota in &options.behavior.quotas {
        command.args(["--quota", &quota.to_string()]);
    }
    if options.behavior.dns != Dns::default() {
        command.args(["--dns", &options.behavior.dns.to_string()]);
    }
    command
        .current_dir(state_dir)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(copy);
    let child = command.spawn().map_err(Error::Program)?;
    Ok(Starting {
        options: options.clone(),
        child,
    })
}

/// Returns the PID of the embedded endpoint with this state directory, if it is running.
pub fn pid(state_dir: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(state_dir.join("endpoint.pid")).ok()?;
    let pid: i32 = text.split_whitespace().next()?.parse().ok()?;
    test_kill_process(Pid::from_raw(pid)?).ok()?;
    // A reused PID belongs to another program: the endpoint has `endpoint` among its arguments.
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let own = arguments.is_empty() || arguments.split(|b| *b == 0).any(|a| a == b"endpoint");
    let zombie = std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| s.contains(") Z "));
    (own && !zombie).then_some(pid)
}

/// Stops the embedded endpoint and all its processes, and keeps its state. Returns false if it was not running.
///
/// # Errors
/// The endpoint on the port has another state directory, or does not stop in time.
pub async fn stop(options: &EmbeddedOptions) -> Result<bool, Error> {
    let EmbeddedOptions { port, state_dir, .. } = options;
    let is_embedded = probe(&options.url()).await?.is_embedded();
    let Some(pid) = pid(state_dir) else {
        if !is_embedded {
            return Ok(false);
        }
        return Err(Error::OtherStateDir {
            port: *port,
            state_dir: state_dir.clone(),
        });
    };
    let url = format!("{}/_localstack/shutdown", options.url());
    let requested = is_embedded
        && http::post(&url, Duration::from_secs(5))
            .await
            .is_ok_and(|(status, _)| status < 400);
    if !requested {
        signal(pid, Signal::TERM);
    }
    let start = Instant::now();
    while self::pid(state_dir) == Some(pid) {
        if start.elapsed() > STOP_TIMEOUT {
            signal(pid, Signal::KILL);
            return Err(Error::TimedOut(TimedOut {
                what: format!("the endpoint (pid {pid}), now killed,"),
                seconds: STOP_TIMEOUT.as_secs(),
                last: None,
            }));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(true)
}

fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Removes the endpoint's state. Returns false if there is none.
///
/// # Errors
/// The directory was not created by an endpoint, or cannot be removed.
pub fn remove_state(state_dir: &Path) -> Result<bool, Error> {
    if !state_dir.exists() {
        return Ok(false);
    }
    let path = state_dir.to_owned();
    if !state_dir.join("state.redb").exists() && !state_dir.join("endpoint.log").exists() {
        return Err(Error::NotAStateDir { path });
    }
    std::fs::remove_dir_all(state_dir).map_err(|source| Error::RemoveState { path, source })?;
    Ok(true)
}

/// Returns the last line of the log, without a hint that refers to the log itself.
fn last_line(log: &Path) -> String {
    let Ok(file) = File::open(log) else {
        return "it has no log".into();
    };
    last_message(&std::io::read_to_string(file).unwrap_or_default())
}

fn last_message(log: &str) -> String {
    let message = |line: &&str| !line.trim().is_empty() && !line.starts_with("hint: ");
    let line = log.lines().rev().find(message).unwrap_or("its log is empty");
    let prefixes = ["error: ", "the embedded endpoint did not start: "];
    prefixes
        .iter()
        .fold(line, |line, prefix| line.strip_prefix(prefix).unwrap_or(line))
        .to_owned()
}

impl Error {
    /// Returns what to do next, if there is something.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Start { log, .. } => format!("its log is {}", log.display()),
            Self::StateDir { source, .. } if source.kind() == ErrorKind::StorageFull => {
                "free some disk space, then run the command again".into()
            }
            Self::StateDir { .. } => "--state-dir selects another directory".into(),
            Self::OtherStateDir { .. } => "pass its directory with --state-dir".into(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_message_of_the_log_and_not_its_hint() {
        let log = "ready\nerror: the embedded endpoint did not start: cannot open the state\nhint: its log is here\n\n";
        assert_eq!(last_message(log), "cannot open the state");
        assert_eq!(last_message("thread panicked\n"), "thread panicked");
        assert_eq!(last_message(""), "its log is empty");
    }
}
