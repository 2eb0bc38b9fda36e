//! nisshi: a Kafka-protocol broker in Rust that stores its log in SQLite. It has no transactions.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use tokio::process::Command;

use super::{Broker, Settings, install_prefix};
use crate::daemon::find_on_path;

/// The path of the program.
pub struct Nisshi(PathBuf);

impl Nisshi {
    /// Returns the program on PATH, otherwise that of scripts/install-broker, otherwise that of `cargo install`.
    pub fn find() -> Option<Self> {
        let own = install_prefix().map(|prefix| prefix.join("bin/nisshi"));
        let cargo = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo/bin/nisshi"));
        let found = find_on_path("nisshi")
            .or(own.filter(|path| path.is_file()))
            .or(cargo.filter(|path| path.is_file()));
        found.map(Self)
    }
}

impl Broker for Nisshi {
    fn name(&self) -> &'static str {
        "nisshi"
    }

    fn command(&self, settings: &Settings) -> anyhow::Result<Command> {
        fs::create_dir_all(&settings.folder).context("cannot create the broker's folder")?;
        let url = |port: u16| format!("tcp://{}:{port}", settings.address);
        // It has one listener, which advertises the proxy's port if plaintext is not advertised.
        let listeners = settings.listeners;
        let proxied = listeners.proxied.filter(|_| !listeners.plaintext_advertised);
        let advertised = proxied.map_or(listeners.plaintext, |proxied| proxied.advertised);
        let mut command = Command::new(&self.0);
        command.args([
            "broker",
            "--cluster-id",
            &settings.cluster_id,
            "--listener-url",
            &url(listeners.plaintext),
        ]);
        // The path of the database is relative to the folder in which the broker runs.
        command.args([
            "--advertised-listener-url",
            &url(advertised),
            "--storage-engine",
            "sqlite://msk.db",
        ]);
        command.current_dir(&settings.folder);
        Ok(command)
    }
}
