//! One broker process with its data.

use std::fs;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::{Client, Guarded, Settings, choose};
use crate::daemon;
use crate::task::Identity;

const START_PATIENCE: Duration = Duration::from_secs(90);

/// A broker's settings and which program it is.
#[derive(Debug, Clone)]
pub struct Server {
    pub settings: Settings,
    /// The program that made the data; none is whichever is installed.
    pub broker: Option<String>,
}

impl Server {
    pub fn client(&self) -> Client {
        Client {
            address: self.settings.address,
            port: self.settings.listeners.own,
        }
    }

    /// Starts the broker, and returns its program's name when it answers.
    pub async fn start(&self) -> anyhow::Result<&'static str> {
        let broker = choose(self.broker.as_deref())?;
        let (address, port) = (self.settings.address, self.settings.listeners.own);
        if !daemon::is_free(address, port).await {
            bail!("{address}:{port} is taken by another process; the broker cannot listen there");
        }
        let command = broker.command(&self.settings)?;
        let log = self.settings.folder.join("broker.log");
        let process = daemon::start(command, &log)?;
        fs::write(self.pid_file(), serde_json::to_vec(&process)?).context("cannot write the broker's pid file")?;
        fs::write(self.listeners_file(), serde_json::to_vec(&self.settings.listeners)?)
            .context("cannot write down where the broker listens")?;
        let until = Instant::now() + START_PATIENCE;
        while let Err(error) = self.client().answers().await {
            if !process.is_alive() {
                bail!(
                    "the broker ({}) ended while it started:\n{}",
                    broker.name(),
                    daemon::last_lines(&log)
                );
            }
            if Instant::now() > until {
                daemon::stop(process, Signal::KILL, Duration::ZERO).await;
                bail!("the broker does not answer ({error:#}):\n{}", daemon::last_lines(&log));
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(broker.name())
    }

    /// The living process of this broker.
    pub fn running(&self) -> Option<Identity> {
        let process: Identity = serde_json::from_slice(&fs::read(self.pid_file()).ok()?).ok()?;
        process.is_alive().then_some(process)
    }

    /// Whether the running broker listens where it should.
    pub fn is_current(&self) -> bool {
        let written = fs::read(self.listeners_file()).ok();
        let written = written.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        // Brokers of endpoints before this one wrote nothing down, and had no door.
        written.map_or(self.settings.listeners.guarded.is_none(), |found: super::Listeners| {
            found == self.settings.listeners
        })
    }

    /// The listener behind the door, where this broker has one.
    pub fn guarded(&self) -> Option<Guarded> {
        let listeners = self.settings.listeners;
        match self.broker.as_deref() {
            Some("nisshi") if listeners.open => None,
            Some("nisshi") => listeners.guarded.map(|guarded| Guarded {
                inside: listeners.own,
                ..guarded
            }),
            _ => listeners.guarded,
        }
    }

    pub async fn stop(&self) {
        if let Some(process) = self.running() {
            daemon::stop(process, Signal::TERM, Duration::from_secs(20)).await;
        }
    }

    /// Ends the broker at once and removes its data.
    pub async fn destroy(&self) -> anyhow::Result<()> {
        if let Some(process) = self.running() {
            daemon::stop(process, Signal::KILL, Duration::ZERO).await;
        }
        match fs::remove_dir_all(&self.settings.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.settings.folder.display()))
            }
            _ => Ok(()),
        }
    }

    fn pid_file(&self) -> std::path::PathBuf {
        self.settings.folder.join("process.json")
    }

    fn listeners_file(&self) -> std::path::PathBuf {
        self.settings.folder.join("listeners.json")
    }
}
