//! One broker process with its data.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::{Client, Listeners, ProxiedListener, Settings, choose};
use crate::daemon;
use crate::task::Identity;

const START_TIMEOUT: Duration = Duration::from_secs(90);

/// The names of the processes that brokers are: Apache Kafka runs in Java.
const PROGRAMS: &[&str] = &["java", "nisshi"];

/// A broker's settings and its program.
#[derive(Debug, Clone)]
pub struct Server {
    /// Folder, address and listeners.
    pub settings: Settings,
    /// The program that wrote the data; `None` for the one that is installed.
    pub broker: Option<String>,
}

impl Server {
    /// Returns a client of the plaintext listener.
    pub fn client(&self) -> Client {
        Client {
            address: self.settings.address,
            port: self.settings.listeners.plaintext,
        }
    }

    /// Starts the broker, and returns the name of its program when it responds.
    ///
    /// # Errors
    /// When no broker is installed, its port is taken, or it does not respond in time; with the end of its log.
    pub async fn start(&self) -> anyhow::Result<&'static str> {
        let broker = choose(self.broker.as_deref())?;
        let (address, port) = (self.settings.address, self.settings.listeners.plaintext);
        if let Some(process) = Identity::find_in(&self.settings.folder, PROGRAMS) {
            daemon::stop(process, Signal::TERM, Duration::from_secs(20)).await;
        }
        if !daemon::wait_until_free(address, port).await {
            bail!("the broker cannot listen on {address}:{port}: another process uses the port");
        }
        let command = broker.command(&self.settings)?;
        let log = self.settings.folder.join("broker.log");
        let process = daemon::start(command, &log)?;
        fs::write(self.pid_file(), serde_json::to_vec(&process)?).context("cannot write the broker's pid file")?;
        fs::write(self.listeners_file(), serde_json::to_vec(&self.settings.listeners)?)
            .context("cannot write the broker's listeners file")?;
        let deadline = Instant::now() + START_TIMEOUT;
        while let Err(error) = self.client().ping().await {
            if !process.is_alive() {
                bail!(
                    "the broker ({}) ended during its start:\n{}",
                    broker.name(),
                    daemon::last_lines(&log)
                );
            }
            if Instant::now() > deadline {
                daemon::stop(process, Signal::KILL, Duration::ZERO).await;
                bail!("the broker does not respond ({error:#}):\n{}", daemon::last_lines(&log));
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(broker.name())
    }

    /// Returns the process of this broker if it is alive.
    pub fn running(&self) -> Option<Identity> {
        let process: Identity = serde_json::from_slice(&fs::read(self.pid_file()).ok()?).ok()?;
        process.is_alive().then_some(process)
    }

    /// Returns true if the running broker has the listeners of its settings.
    pub fn is_current(&self) -> bool {
        let written = fs::read(self.listeners_file()).ok();
        let written = written.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        // Earlier endpoints wrote no such file, and had no SASL proxy.
        written.map_or(self.settings.listeners.proxied.is_none(), |found: Listeners| {
            found == self.settings.listeners
        })
    }

    /// Returns the listener behind the SASL proxy, if this broker has one.
    pub fn proxied_listener(&self) -> Option<ProxiedListener> {
        let listeners = self.settings.listeners;
        match self.broker.as_deref() {
            Some("nisshi") if listeners.plaintext_advertised => None,
            Some("nisshi") => listeners.proxied.map(|proxied| ProxiedListener {
                internal: listeners.plaintext,
                ..proxied
            }),
            _ => listeners.proxied,
        }
    }

    /// Asks the broker to end, and kills it after 20 s.
    pub async fn stop(&self) {
        if let Some(process) = self.running() {
            daemon::stop(process, Signal::TERM, Duration::from_secs(20)).await;
        }
    }

    /// Kills the broker and deletes its data.
    ///
    /// # Errors
    /// When the data cannot be deleted.
    pub async fn destroy(&self) -> anyhow::Result<()> {
        if let Some(process) = self
            .running()
            .or_else(|| Identity::find_in(&self.settings.folder, PROGRAMS))
        {
            daemon::stop(process, Signal::KILL, Duration::ZERO).await;
        }
        match fs::remove_dir_all(&self.settings.folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot delete {}", self.settings.folder.display()))
            }
            _ => Ok(()),
        }
    }

    fn pid_file(&self) -> PathBuf {
        self.settings.folder.join("process.json")
    }

    fn listeners_file(&self) -> PathBuf {
        self.settings.folder.join("listeners.json")
    }
}
