//! One operating-system process that a test owns.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::eventually;

/// How long a process may take to be reaped after SIGKILL.
const REAP: Duration = Duration::from_secs(10);

/// A process, what it was started with, and where its output goes; it is killed when the value is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    command: Vec<String>,
    env: BTreeMap<String, String>,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Starts a command with this environment alone; both outputs are appended to `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(name: &str, command: Vec<String>, env: BTreeMap<String, String>, log: &Path) -> Self {
        let process = Self {
            name: name.to_owned(),
            command,
            env,
            log: log.to_owned(),
            child: Mutex::new(None),
        };
        process.start_again();
        process
    }

    /// Starts the same command again; the process before it must have ended.
    ///
    /// # Panics
    /// When it still runs, or cannot be started.
    pub fn start_again(&self) {
        assert!(!self.is_running(), "{} still runs", self.name);
        let open = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = open.unwrap_or_else(|error| panic!("cannot write {}: {error}", self.log.display()));
        // The kernel ends the process with the thread that started it, should the test be killed.
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

    /// Its id.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> u32 {
        let child = self.child();
        child
            .as_ref()
            .unwrap_or_else(|| panic!("{} does not run", self.name))
            .id()
    }

    /// Whether it runs (a paused process does).
    pub fn is_running(&self) -> bool {
        self.exit_status().is_none() && self.child().is_some()
    }

    /// How it ended, if it did.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child().as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it still runs after `limit`.
    pub async fn exited(&self, limit: Duration) -> ExitStatus {
        let what = format!("{} to end", self.name);
        eventually(&what, limit, async || self.exit_status()).await
    }

    /// Sends a signal; a process that has ended gets none.
    pub fn signal(&self, signal: Signal) {
        if let Some(child) = self.child().as_mut()
            && let Ok(None) = child.try_wait()
            && let Some(pid) = Pid::from_raw(child.id().cast_signed())
        {
            let _ = kill_process(pid, signal);
        }
    }

    /// SIGKILL, and waits until the process is gone.
    pub async fn kill9(&self) {
        self.signal(Signal::KILL);
        self.exited(REAP).await;
    }

    /// SIGTERM, and waits at most `limit` for the end.
    ///
    /// # Panics
    /// When it still runs then.
    pub async fn terminate(&self, limit: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.exited(limit).await
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
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
