//! One port of a load balancer, on both loopback addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{ListenerRules, proxy};
use crate::{AwsError, Context};

/// An open port; dropping it closes the port and ends its idle connections.
pub struct Open {
    rules: Arc<RwLock<Arc<ListenerRules>>>,
    _closes: DropGuard,
}

impl Open {
    pub fn replace(&self, rules: ListenerRules) {
        *self.rules.write().expect("no panic holds this lock") = Arc::new(rules);
    }
}

/// Listens on 127.0.0.1 and, where the machine has it, ::1.
pub fn open(cx: &Context, port: u16, rules: ListenerRules) -> Result<Open, AwsError> {
    let stop = cx.shutdown().child_token();
    let rules = Arc::new(RwLock::new(Arc::new(rules)));
    let mut sockets = vec![bind(IpAddr::V4(Ipv4Addr::LOCALHOST), port)?];
    match std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(_) => sockets.push(bind(IpAddr::V6(Ipv6Addr::LOCALHOST), port)?),
        Err(_) => tracing::info!(
            port,
            "this machine has no ::1: the load balancer listens on 127.0.0.1 only"
        ),
    }
    for socket in sockets {
        tokio::spawn(accept(cx.clone(), socket, port, rules.clone(), stop.clone()));
    }
    Ok(Open {
        rules,
        _closes: stop.drop_guard(),
    })
}

fn bind(address: IpAddr, port: u16) -> Result<TcpListener, AwsError> {
    let bound = std::net::TcpListener::bind((address, port)).and_then(|socket| {
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket)
    });
    bound.map_err(|error| {
        AwsError::new(
            "PortNotAvailable",
            format!(
                "The load balancer cannot listen on {}: {error}. Stop what uses port {port}, or give the listener \
                 another port.",
                SocketAddr::new(address, port)
            ),
        )
    })
}

async fn accept(
    cx: Context,
    socket: TcpListener,
    port: u16,
    rules: Arc<RwLock<Arc<ListenerRules>>>,
    stop: CancellationToken,
) {
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => return,
            accepted = socket.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(port, %error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        tokio::spawn(serve(cx.clone(), stream, peer, port, rules.clone(), stop.clone()));
    }
}

async fn serve(
    cx: Context,
    stream: TcpStream,
    peer: SocketAddr,
    port: u16,
    rules: Arc<RwLock<Arc<ListenerRules>>>,
    stop: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let rules = rules.read().expect("no panic holds this lock").clone();
        proxy::answer(cx.clone(), rules, peer, port, request)
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(60));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = tokio::time::timeout(Duration::from_secs(5), connection).await;
}
