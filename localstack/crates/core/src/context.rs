//! The state that every part of the endpoint shares.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use crate::behavior::Behavior;
use crate::store::Store;

/// Configuration of one endpoint. Several can run side by side when port, state directory and loopback octet differ.
#[derive(Debug, Clone)]
pub struct Config {
    /// TCP port on 127.0.0.1 and `::1`; AWS-compatible endpoints use 4566.
    pub port: u16,
    /// Absolute path; created with mode 0700.
    pub state_dir: PathBuf,
    /// The second octet of the loopback addresses that this endpoint assigns: 127.OCTET.0.0/16.
    pub loopback_octet: u8,
    /// The AWS region that ARNs and names contain, such as `us-east-1`.
    pub region: String,
    /// `kafka` or `nisshi`; `None` for the one that is installed.
    pub broker: Option<String>,
    /// Delays and limits of AWS that are imitated.
    pub behavior: Behavior,
}

/// The loopback addresses of one endpoint, 127.x.0.0/16, divided by purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopbackBlock(pub u8);

impl LoopbackBlock {
    /// Returns the address of an RDS instance: 127.x.1.n. The port is the template's (5432 by default).
    pub fn database(self, n: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0, 1, n)
    }

    /// Returns the address of an MSK cluster: 127.x.2.n, ports 9092 and 9098.
    pub fn broker(self, n: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0, 2, n)
    }

    /// Returns the address of a Cloud Map service: 127.x.3.n, with the ports of its tasks.
    pub fn service_name(self, n: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0, 3, n)
    }

    /// Returns the address of an ECS task: 127.x.16.1 to 127.x.255.254.
    pub fn task(self, n: u16) -> Ipv4Addr {
        let [third, last] = (n % (240 * 254) / 254 * 256 + n % 254 + (16 << 8) + 1).to_be_bytes();
        Ipv4Addr::new(127, self.0, third, last)
    }
}

/// A cheap handle on the endpoint, cloned into tasks and passed to every operation.
///
/// [`crate::registry`] adds the lookup of services and resource types.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    config: Config,
    store: Store,
    shutdown: CancellationToken,
    extensions: RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Context {
    /// Creates the context of one endpoint, with no services registered yet.
    pub fn new(config: Config, store: Store) -> Self {
        Self(Arc::new(Inner {
            config,
            store,
            shutdown: CancellationToken::new(),
            extensions: RwLock::default(),
        }))
    }

    /// Returns the configuration that the endpoint was started with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Returns the folder of everything that the endpoint stores; absolute.
    pub fn state_dir(&self) -> &Path {
        &self.0.config.state_dir
    }

    /// Returns the loopback addresses that belong to this endpoint.
    pub fn loopback(&self) -> LoopbackBlock {
        LoopbackBlock(self.0.config.loopback_octet)
    }

    /// Returns the only region of this endpoint.
    pub fn region(&self) -> &str {
        &self.0.config.region
    }

    /// Returns the id of the only account, which is LocalStack's.
    pub fn account(&self) -> &'static str {
        "000000000000"
    }

    /// Returns the state that survives a restart.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Returns the token that is cancelled when the endpoint stops.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.0.shutdown
    }

    /// Returns `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region(), self.account())
    }

    /// Returns the value of type `T` that lives as long as the endpoint (a scheduler, a table of proxies), created at first
    /// use.
    ///
    /// # Panics
    /// Never: the key is the type of the value.
    pub fn extension<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let key = TypeId::of::<T>();
        let found = self.0.extensions.read().get(&key).cloned();
        let extension = found.unwrap_or_else(|| {
            let mut extensions = self.0.extensions.write();
            extensions.entry(key).or_insert_with(|| Arc::new(T::default())).clone()
        });
        extension.downcast().expect("the key is the type of the value")
    }
}
