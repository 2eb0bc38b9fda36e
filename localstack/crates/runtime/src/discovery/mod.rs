//! Service names with a stable address: a TCP proxy from each name's loopback address to its tasks.

mod proxy;
mod resolver;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

use endpoint_core::Context;

use resolver::Resolver;

pub use resolver::DnsTtl;

/// One name's ports, and the addresses of its tasks that are running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoveryEntry {
    /// Container ports of the tasks.
    pub ports: Vec<u16>,
    /// Loopback addresses of the tasks.
    pub backends: Vec<IpAddr>,
    /// The time for which answers are kept; `None` if each one is as new as the registrations.
    pub ttl: Option<DnsTtl>,
}

/// The running proxies.
#[derive(Default)]
pub struct Proxies(Mutex<Running>);

#[derive(Default)]
struct Running {
    /// By the address of the name.
    resolvers: HashMap<Ipv4Addr, Arc<Resolver>>,
    /// By the address and port on which they listen. A proxy stops when its guard is dropped.
    proxies: HashMap<SocketAddr, DropGuard>,
}

/// Starts and stops proxies, so that there is one for each port of each name that has a backend. Without a backend nothing
/// listens, and connections are refused at once; but where answers are kept, the question must be noticed.
pub fn apply(cx: &Context, entries: BTreeMap<Ipv4Addr, DiscoveryEntry>) {
    let proxies = cx.extension::<Proxies>();
    let mut running = proxies.0.lock();
    running.resolvers.retain(|address, _| entries.contains_key(address));
    let mut desired = HashSet::new();
    for (address, entry) in entries {
        if !entry.backends.is_empty() || entry.ttl.is_some() {
            desired.extend(entry.ports.iter().map(|port| SocketAddr::from((address, *port))));
        }
        let resolver = running.resolvers.entry(address).or_default();
        resolver.set(entry.backends, entry.ttl);
    }
    running.proxies.retain(|address, _| desired.contains(address));
    for address in desired {
        let SocketAddr::V4(name) = address else { continue };
        let Some(resolver) = running.resolvers.get(name.ip()).cloned() else {
            continue;
        };
        if running.proxies.contains_key(&address) {
            continue;
        }
        let stop: CancellationToken = cx.shutdown().child_token();
        match proxy::listen(address, resolver, stop.clone()) {
            Ok(()) => {
                running.proxies.insert(address, stop.drop_guard());
            }
            Err(error) => {
                tracing::warn!(%address, %error, "cannot listen on the address of a service name; retrying");
            }
        }
    }
}
