//! Service names with a stable address: a TCP proxy from each name's loopback address to its tasks.

mod proxy;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

use endpoint_core::Context;

/// One name's ports, and the addresses of its tasks that are running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoveryEntry {
    /// Container ports of the tasks.
    pub ports: Vec<u16>,
    /// Loopback addresses of the tasks.
    pub backends: Vec<IpAddr>,
}

/// The running proxies, by the address and port on which they listen.
#[derive(Default)]
pub struct Proxies(Mutex<HashMap<SocketAddr, Proxy>>);

struct Proxy {
    backends: Arc<proxy::Backends>,
    /// Stops the proxy when dropped.
    #[expect(dead_code, reason = "held to be dropped")]
    stop: DropGuard,
}

/// Starts and stops proxies, so that there is one for each port of each name that has a backend. Without a backend nothing
/// listens, and connections are refused at once.
pub fn apply(cx: &Context, entries: BTreeMap<Ipv4Addr, DiscoveryEntry>) {
    let mut desired: HashMap<SocketAddr, Vec<SocketAddr>> = HashMap::new();
    for (address, entry) in entries.into_iter().filter(|(_, entry)| !entry.backends.is_empty()) {
        for port in entry.ports {
            let backends = entry.backends.iter().map(|backend| SocketAddr::new(*backend, port));
            desired.insert(SocketAddr::from((address, port)), backends.collect());
        }
    }
    let proxies = cx.extension::<Proxies>();
    let mut running = proxies.0.lock();
    running.retain(|address, _| desired.contains_key(address));
    for (address, backends) in desired {
        if let Some(proxy) = running.get(&address) {
            proxy.backends.set(backends);
            continue;
        }
        let stop: CancellationToken = cx.shutdown().child_token();
        let backends = Arc::new(proxy::Backends::new(backends));
        match proxy::listen(address, backends.clone(), stop.clone()) {
            Ok(()) => {
                let stop = stop.drop_guard();
                running.insert(address, Proxy { backends, stop });
            }
            Err(error) => {
                tracing::warn!(%address, %error, "cannot listen on the address of a service name; retrying");
            }
        }
    }
}
