//! Names with a stable address: a TCP proxy from each name's loopback address to the tasks behind it.

mod proxy;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio_util::sync::{CancellationToken, DropGuard};

use endpoint_core::Context;

/// One name's ports, and the addresses of those who can answer now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub ports: Vec<u16>,
    pub backends: Vec<IpAddr>,
}

/// The open proxies, by the address and port they listen on.
#[derive(Default)]
pub struct Proxies(Mutex<HashMap<SocketAddr, Open>>);

struct Open {
    backends: Arc<proxy::Backends>,
    _closes: DropGuard,
}

/// Opens and closes proxies so that there is one for each port of each name that somebody can answer. Where nobody
/// can, nothing listens: the connection is refused at once.
pub fn apply(cx: &Context, wanted: BTreeMap<Ipv4Addr, Wanted>) {
    let mut all: HashMap<SocketAddr, Vec<SocketAddr>> = HashMap::new();
    for (address, want) in wanted.into_iter().filter(|(_, want)| !want.backends.is_empty()) {
        for port in want.ports {
            let backends = want.backends.iter().map(|backend| SocketAddr::new(*backend, port));
            all.insert(SocketAddr::from((address, port)), backends.collect());
        }
    }
    let proxies = cx.part::<Proxies>();
    let mut open = proxies.0.lock().expect("no panic holds this lock");
    open.retain(|address, _| all.contains_key(address));
    for (address, backends) in all {
        if let Some(open) = open.get(&address) {
            open.backends.set(backends);
            continue;
        }
        let stop: CancellationToken = cx.shutdown().child_token();
        let shared = Arc::new(proxy::Backends::new(backends));
        match proxy::listen(address, shared.clone(), stop.clone()) {
            Ok(()) => drop(open.insert(
                address,
                Open {
                    backends: shared,
                    _closes: stop.drop_guard(),
                },
            )),
            Err(error) => {
                tracing::warn!(%address, %error, "a name's address cannot be listened on; trying again");
            }
        }
    }
}
