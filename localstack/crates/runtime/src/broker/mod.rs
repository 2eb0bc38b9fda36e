//! The Kafka-protocol brokers behind MSK clusters.

mod client;
mod kafka;
mod nisshi;
pub mod sasl_proxy;
mod server;

pub use client::{Client, Topic};
pub use server::Server;

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// Settings of one broker.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Holds everything that the broker stores.
    pub folder: PathBuf,
    /// Loopback address that all listeners share.
    pub address: Ipv4Addr,
    /// Ports, and those that clients may use.
    pub listeners: Listeners,
    /// Sixteen bytes in URL-safe base64, Kafka's form.
    pub cluster_id: String,
}

/// The ports of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listeners {
    /// The plaintext listener, which the endpoint itself always uses.
    pub plaintext: u16,
    /// True if the plaintext listener is advertised to clients.
    pub plaintext_advertised: bool,
    /// The SASL listener, if the cluster has IAM authentication.
    pub proxied: Option<ProxiedListener>,
}

/// A listener behind a SASL proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxiedListener {
    /// The port where the broker accepts connections from the proxy.
    pub internal: u16,
    /// The port of the proxy, which the broker advertises on this listener.
    pub advertised: u16,
}

/// A program that speaks the Kafka protocol.
pub trait Broker: Send + Sync {
    /// Returns the name that the configuration uses.
    fn name(&self) -> &'static str;

    /// Writes the files that the program needs, and returns the command that becomes it.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn command(&self, settings: &Settings) -> anyhow::Result<Command>;
}

/// Returns the broker with this name, or the one that is installed: Apache Kafka is preferred to nisshi.
///
/// # Errors
/// When the broker, or any broker, is not installed, or the name is unknown.
pub fn choose(name: Option<&str>) -> anyhow::Result<Box<dyn Broker>> {
    const INSTALL: &str = "run scripts/install-broker (scripts/up does it, too), or set KAFKA_HOME";
    let kafka = || kafka::Kafka::find();
    let nisshi = || nisshi::Nisshi::find();
    match name {
        Some("kafka") => match kafka() {
            Some(found) => Ok(Box::new(found)),
            None => bail!("the broker `kafka` is selected, but its jars or `java` are not installed: {INSTALL}"),
        },
        Some("nisshi") => match nisshi() {
            Some(found) => Ok(Box::new(found)),
            None => bail!("the broker `nisshi` is selected, but it is not installed: {INSTALL}"),
        },
        Some(other) => bail!("unknown broker `{other}`: use `kafka` or `nisshi`"),
        None => match (kafka(), nisshi()) {
            (Some(found), _) => Ok(Box::new(found)),
            (None, Some(found)) => Ok(Box::new(found)),
            (None, None) => bail!("no Kafka broker is installed, and MSK clusters need one: {INSTALL}"),
        },
    }
}

/// Returns the folder into which scripts/install-broker installs.
fn install_prefix() -> Option<PathBuf> {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")));
    Some(data?.join("patient-management"))
}
