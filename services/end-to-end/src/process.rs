//! An operating-system process that a test owns.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait_for;

/// Time limit for a process to end after SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// A process with its command, environment and log file; dropping it kills the process.
#[derive(Debug)]
pub struct Process {
    name: String,
    command: Vec<String>,
    env: BTreeMap<String, String>,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Starts a command with exactly this environment; stdout and stderr are appended to `log`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(name: &str, command: Vec<String>, env: BTreeMap<String, String>, log: &Path) -> Self {
        let process = Self {
            name: name.to_owned(),
            command,
            env,
            log: log.to_owned(),
            child: Mutex::new(None),
        };
        process.restart();
        process
    }

    /// Starts the same command again, after its process has ended.
    ///
    /// # Panics
    /// If it still runs, or cannot be started.
    pub fn restart(&self) {
        assert!(!self.is_running(), "{} is still running", self.name);
        let open = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = open.unwrap_or_else(|error| panic!("cannot write {}: {error}", self.log.display()));
        // The kernel kills the process with the thread that started it, in case the test is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).args(&self.command);
        command.env_clear().envs(&self.env);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        let child = command.spawn();
        let child = child.unwrap_or_else(|error| panic!("cannot start {}: {error}", self.command.join(" ")));
        *self.child() = Some(child);
    }

    /// Returns the process id.
    ///
    /// # Panics
    /// If the process is not running.
    pub fn pid(&self) -> u32 {
        let child = self.child();
        child
            .as_ref()
            .unwrap_or_else(|| panic!("{} is not running", self.name))
            .id()
    }

    /// Returns whether the process is running; a paused process is.
    pub fn is_running(&self) -> bool {
        self.exit_status().is_none() && self.child().is_some()
    }

    /// Returns the exit status if the process has ended.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child().as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    /// If it is still running after `limit`.
    pub async fn exited(&self, limit: Duration) -> ExitStatus {
        let what = format!("{} to end", self.name);
        wait_for(&what, limit, async || self.exit_status()).await
    }

    /// Sends a signal, unless the process has ended.
    pub fn signal(&self, signal: Signal) {
        if let Some(child) = self.child().as_mut()
            && let Ok(None) = child.try_wait()
            && let Some(pid) = Pid::from_raw(child.id().cast_signed())
        {
            let _ = kill_process(pid, signal);
        }
    }

    /// Sends SIGKILL and waits for the end of the process.
    pub async fn kill9(&self) {
        self.signal(Signal::KILL);
        self.exited(KILL_TIMEOUT).await;
    }

    /// Sends SIGTERM and waits for the end of the process.
    ///
    /// # Panics
    /// If it is still running after `limit`.
    pub async fn terminate(&self, limit: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.exited(limit).await
    }

    /// Returns the log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = self.child().as_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
