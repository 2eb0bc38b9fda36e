//! The Kafka-protocol brokers behind MSK clusters.

mod client;
pub mod door;
mod kafka;
mod nisshi;
mod server;

pub use client::{Client, Topic};
pub use server::Server;

use std::path::PathBuf;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// What a broker is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Everything that the broker keeps.
    pub folder: PathBuf,
    pub address: std::net::Ipv4Addr,
    pub listeners: Listeners,
    /// Sixteen bytes in URL-safe base64, as Kafka has it.
    pub cluster_id: String,
}

/// The ports of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listeners {
    /// For the endpoint itself.
    pub own: u16,
    /// Whether clients are told of that port, too.
    pub open: bool,
    pub guarded: Option<Guarded>,
}

/// A listener behind a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarded {
    /// Where the broker listens for those whom the door lets in.
    pub inside: u16,
    /// The door's port: what the broker tells them.
    pub outside: u16,
}

/// A program that speaks the Kafka protocol.
pub trait Broker: Send + Sync {
    /// As the configuration names it.
    fn name(&self) -> &'static str;

    /// Writes what the program needs before its start, and gives the command that becomes it.
    fn command(&self, settings: &Settings) -> anyhow::Result<Command>;
}

/// The broker that is asked for, or the one that is installed: Apache Kafka before nisshi.
pub fn choose(wanted: Option<&str>) -> anyhow::Result<Box<dyn Broker>> {
    const INSTALL: &str = "run scripts/install-broker (scripts/up does it, too), or set KAFKA_HOME";
    let kafka = || kafka::Kafka::find();
    let nisshi = || nisshi::Nisshi::find();
    match wanted {
        Some("kafka") => match kafka() {
            Some(found) => Ok(Box::new(found)),
            None => bail!("Apache Kafka is asked for, and its jars or `java` are not on this machine: {INSTALL}"),
        },
        Some("nisshi") => match nisshi() {
            Some(found) => Ok(Box::new(found)),
            None => bail!("the broker nisshi is asked for, and is not on this machine: {INSTALL}"),
        },
        Some(other) => bail!("there is no broker `{other}`: `kafka` and `nisshi` are the ones known here"),
        None => match (kafka(), nisshi()) {
            (Some(found), _) => Ok(Box::new(found)),
            (None, Some(found)) => Ok(Box::new(found)),
            (None, None) => {
                bail!("no Kafka-protocol broker is installed on this machine, and MSK clusters run on one: {INSTALL}")
            }
        },
    }
}

/// Where scripts/install-broker puts things.
fn prefix() -> Option<PathBuf> {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")));
    Some(data?.join("patient-management"))
}
