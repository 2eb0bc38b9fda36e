//! nisshi: a Kafka-protocol broker in Rust, with its log in SQLite. It has no transactions.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use tokio::process::Command;

use super::{Broker, Settings, prefix};
use crate::daemon::on_path;

pub struct Nisshi(PathBuf);

impl Nisshi {
    /// On PATH, else what scripts/install-broker put there, else cargo's own folder.
    pub fn find() -> Option<Self> {
        let ours = prefix().map(|prefix| prefix.join("bin/nisshi"));
        let cargo = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo/bin/nisshi"));
        let found = on_path("nisshi")
            .or(ours.filter(|path| path.is_file()))
            .or(cargo.filter(|path| path.is_file()));
        found.map(Self)
    }
}

impl Broker for Nisshi {
    fn name(&self) -> &'static str {
        "nisshi"
    }

    fn command(&self, settings: &Settings) -> anyhow::Result<Command> {
        fs::create_dir_all(&settings.folder).context("cannot make the broker's folder")?;
        let url = |port: u16| format!("tcp://{}:{port}", settings.address);
        // It has one listener: clients are told of the door where there is no other way in.
        let listeners = settings.listeners;
        let told = listeners.guarded.filter(|_| !listeners.open);
        let told = told.map_or(listeners.own, |guarded| guarded.outside);
        let mut command = Command::new(&self.0);
        command.args([
            "broker",
            "--cluster-id",
            &settings.cluster_id,
            "--listener-url",
            &url(listeners.own),
        ]);
        // A relative file: the broker runs in its folder.
        command.args([
            "--advertised-listener-url",
            &url(told),
            "--storage-engine",
            "sqlite://msk.db",
        ]);
        command.current_dir(&settings.folder);
        Ok(command)
    }
}
