//! The state that every part of the endpoint shares.

use std::any::{Any, TypeId};
use std::collections::HashMap;
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
    /// The AWS region of requests that name none, such as `us-east-1`.
    pub region: String,
    /// `kafka` or `nisshi`; `None` for the one that is installed.
    pub broker: Option<String>,
    /// Delays and limits of AWS that are imitated.
    pub behavior: Behavior,
}

/// A cheap handle on one region of the endpoint, cloned into tasks and passed to every operation.
///
/// [`crate::registry`] adds the lookup of services and resource types, [`crate::region`] the other regions.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

/// The collection, and the key, of the name of the first region that a state was used with. Its documents have no prefix.
const FIRST_REGION: (&str, &str) = ("endpoint.first-region", "name");

struct Inner {
    config: Arc<Config>,
    region: String,
    /// The first region; `None` in its own context.
    first: Option<Context>,
    store: Store,
    shutdown: CancellationToken,
    /// Values by their type.
    extensions: RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Context {
    /// Creates the context of the first region, with no services registered yet.
    ///
    /// # Errors
    /// When the state cannot be read or written.
    pub fn new(config: Config, store: Store) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Inner {
            region: first_region(&store, &config.region)?,
            first: None,
            config: Arc::new(config),
            store,
            shutdown: CancellationToken::new(),
            extensions: RwLock::default(),
        })))
    }

    /// Creates the context of another region, whose documents and files are apart.
    pub(crate) fn of_region(&self, region: &str) -> Self {
        let first = self.first_region();
        let global = first.services().into_iter().filter(|service| service.is_global());
        let shared = global.map(|service| format!("{}.", service.name()));
        Self(Arc::new(Inner {
            config: first.0.config.clone(),
            region: region.to_owned(),
            store: first.0.store.of_region(region, shared.collect()),
            shutdown: first.0.shutdown.clone(),
            first: Some(first),
            extensions: RwLock::default(),
        }))
    }

    /// Returns the context of the first region, which serves the global services.
    #[must_use]
    pub fn first_region(&self) -> Self {
        self.0.first.as_ref().unwrap_or(self).clone()
    }

    /// Returns true for the context of the first region.
    pub fn is_first_region(&self) -> bool {
        self.0.first.is_none()
    }

    /// Returns the configuration that the endpoint was started with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Returns the folder of the files of this region; absolute. That of the first region is the root.
    pub fn state_dir(&self) -> PathBuf {
        let root = self.root_dir();
        if self.is_first_region() {
            root.to_owned()
        } else {
            root.join("regions").join(self.region())
        }
    }

    /// Returns the folder of everything that the endpoint stores; absolute.
    pub fn root_dir(&self) -> &Path {
        &self.0.config.state_dir
    }

    /// Returns the region that ARNs and names contain.
    pub fn region(&self) -> &str {
        &self.0.region
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

    /// Returns the value of type `T` that this region has as long as the endpoint runs (a scheduler, a table of proxies), created at
    /// first use.
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

    /// Returns the value of type `T` that all regions share, created at first use.
    pub fn shared<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.first_region().extension()
    }
}

/// Returns the first region that a state was used with, which is `region` for a new one.
fn first_region(store: &Store, region: &str) -> anyhow::Result<String> {
    let (collection, key) = FIRST_REGION;
    if let Some(first) = store.get(collection, key)? {
        return Ok(first);
    }
    store.put(collection, key, &region)?;
    Ok(region.to_owned())
}
