//! What every room of the endpoint shares.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, RwLock};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::store::Store;
use crate::{AwsError, Call, ResourceType, Service};

/// How one endpoint is set up. Several can run side by side when port, state directory and slice differ.
#[derive(Debug, Clone)]
pub struct Config {
    /// TCP port on 127.0.0.1 and ::1; 4566 unless told.
    pub port: u16,
    /// Absolute path; made with mode 0700.
    pub state_dir: PathBuf,
    /// The second octet of the loopback addresses that this endpoint hands out: 127.SLICE.0.0/16.
    pub slice: u8,
    pub region: String,
    /// `kafka`, `nisshi` or none for whichever is installed.
    pub broker: Option<String>,
}

/// The loopback addresses of one endpoint: 127.x.0.0/16, a block for each kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice(pub u8);

impl Slice {
    /// RDS instances: 127.x.1.n, port as the template says (5432).
    pub fn database(self, n: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0, 1, n)
    }

    /// MSK clusters: 127.x.2.n, ports 9092 and 9098.
    pub fn broker(self, n: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0, 2, n)
    }

    /// Cloud Map names: 127.x.3.n, the ports of the tasks behind them.
    pub fn name(self, n: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0, 3, n)
    }

    /// ECS tasks: 127.x.16.1 to 127.x.255.254.
    pub fn task(self, n: u16) -> Ipv4Addr {
        let n = n % (240 * 254);
        Ipv4Addr::new(127, self.0, 16 + (n / 254) as u8, 1 + (n % 254) as u8)
    }
}

/// A cheap handle on the endpoint: cloned into tasks, passed to every operation.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    config: Config,
    store: Store,
    shutdown: CancellationToken,
    services: OnceLock<HashMap<&'static str, Arc<dyn Service>>>,
    types: OnceLock<HashMap<&'static str, Arc<dyn ResourceType>>>,
    parts: RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Context {
    pub fn new(config: Config, store: Store) -> Self {
        Self(Arc::new(Inner {
            config,
            store,
            shutdown: CancellationToken::new(),
            services: OnceLock::new(),
            types: OnceLock::new(),
            parts: RwLock::default(),
        }))
    }

    /// Makes the services known, once.
    pub fn register(&self, services: Vec<Arc<dyn Service>>) {
        let types = services.iter().flat_map(|s| s.types()).map(|t| (t.name(), t)).collect();
        let _ = self.0.types.set(types);
        let _ = self
            .0
            .services
            .set(services.into_iter().map(|s| (s.name(), s)).collect());
    }

    pub fn config(&self) -> &Config {
        &self.0.config
    }

    pub fn state_dir(&self) -> &Path {
        &self.0.config.state_dir
    }

    pub fn slice(&self) -> Slice {
        Slice(self.0.config.slice)
    }

    pub fn region(&self) -> &str {
        &self.0.config.region
    }

    /// The account that everything here belongs to, LocalStack's own.
    pub fn account(&self) -> &'static str {
        "000000000000"
    }

    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Cancelled when the endpoint stops.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.0.shutdown
    }

    /// `arn:aws:SERVICE:REGION:ACCOUNT:REST`.
    pub fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.region(), self.account())
    }

    pub fn service(&self, name: &str) -> Option<Arc<dyn Service>> {
        self.0.services.get()?.get(name).cloned()
    }

    pub fn resource_type(&self, name: &str) -> Option<Arc<dyn ResourceType>> {
        self.0.types.get()?.get(name).cloned()
    }

    /// Calls an operation of another service as a client would, without the wire.
    pub async fn call(&self, service: &str, operation: &str, input: Value) -> Result<Value, AwsError> {
        let Some(service) = self.service(service) else {
            return Err(AwsError::not_implemented(service, operation));
        };
        let call = Call {
            operation: operation.to_owned(),
            input,
            region: self.region().to_owned(),
        };
        service.call(self, call).await
    }

    /// A part that a room keeps for the life of the endpoint (a scheduler, a table of proxies), made at first use.
    pub fn part<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let key = TypeId::of::<T>();
        if let Some(found) = self.0.parts.read().expect("no panic holds this lock").get(&key) {
            return found.clone().downcast().expect("keyed by its type");
        }
        let mut parts = self.0.parts.write().expect("no panic holds this lock");
        let part = parts.entry(key).or_insert_with(|| Arc::new(T::default()));
        part.clone().downcast().expect("keyed by its type")
    }
}
