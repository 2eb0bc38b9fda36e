//! One port of a load balancer, on both loopback addresses.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::RwLock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::client_stream::ClientStream;
use super::connection::Connection;
use super::{ListenerConfig, LoadBalancers, proxy, responses, tls};
use endpoint_core::{AwsError, Context};

const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The first byte of a TLS connection (RFC 8446, section 5.1: the content type `handshake`).
const TLS_HANDSHAKE: u8 = 22;

/// An open port; dropping it closes the port and its idle connections.
pub struct Listener {
    active: Active,
    _stop: DropGuard,
}

/// The configuration that is in effect, shared with the connections.
pub(super) type Active = Arc<RwLock<ActiveConfig>>;

#[derive(Clone)]
pub(super) struct ActiveConfig {
    pub config: Arc<ListenerConfig>,
    pub acceptor: Option<TlsAcceptor>,
}

impl Listener {
    /// Replaces the configuration. Open connections use the new rules too, but keep their TLS and HTTP version.
    ///
    /// # Errors
    /// When no certificate can be issued.
    pub fn replace(&self, cx: &Context, config: ListenerConfig) -> Result<(), AwsError> {
        let current = self.active.read().clone();
        let acceptor = match &config.tls {
            same if *same == current.config.tls => current.acceptor,
            changed => changed.as_ref().map(|tls| tls::acceptor(cx, tls)).transpose()?,
        };
        let config = Arc::new(config);
        *self.active.write() = ActiveConfig { config, acceptor };
        Ok(())
    }
}

/// Listens on 127.0.0.1 and, if the machine has it, `::1`.
///
/// # Errors
/// `PortNotAvailable` if the port is in use or not permitted; an error if no certificate can be issued.
pub fn open(cx: &Context, port: u16, config: ListenerConfig) -> Result<Listener, AwsError> {
    let stop = cx.shutdown().child_token();
    let acceptor = config.tls.as_ref().map(|tls| tls::acceptor(cx, tls)).transpose()?;
    let config = Arc::new(config);
    let active = Arc::new(RwLock::new(ActiveConfig { config, acceptor }));
    let mut sockets = vec![bind(IpAddr::V4(Ipv4Addr::LOCALHOST), port)?];
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        sockets.push(bind(IpAddr::V6(Ipv6Addr::LOCALHOST), port)?);
    } else {
        tracing::info!(
            port,
            "this machine has no ::1: the load balancer listens on 127.0.0.1 only"
        );
    }
    for socket in sockets {
        tokio::spawn(accept(cx.extension(), socket, port, active.clone(), stop.clone()));
    }
    Ok(Listener {
        active,
        _stop: stop.drop_guard(),
    })
}

fn bind(address: IpAddr, port: u16) -> Result<TcpListener, AwsError> {
    let bound = std::net::TcpListener::bind((address, port)).and_then(|socket| {
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket)
    });
    bound.map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::PermissionDenied => format!(
                "Ports below 1024 are for root alone: allow this one (`sysctl -w net.ipv4.ip_unprivileged_port_start={port}` \
                 as root), start the endpoint as root, or give the listener another port."
            ),
            _ => format!("Stop what uses port {port}, or give the listener another port."),
        };
        AwsError::new(
            "PortNotAvailable",
            format!(
                "The load balancer cannot listen on {}: {error}. {remedy}",
                SocketAddr::new(address, port)
            ),
        )
    })
}

/// Accepts connections until `stop`.
pub(super) async fn accept(
    balancers: Arc<LoadBalancers>,
    socket: TcpListener,
    port: u16,
    active: Active,
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
        let _ = stream.set_nodelay(true);
        let (balancers, active, stop) = (balancers.clone(), active.clone(), stop.clone());
        tokio::spawn(async move {
            let acceptor = active.read().acceptor.clone();
            let connection = Connection {
                peer,
                port,
                secure: acceptor.is_some(),
            };
            match acceptor {
                None => serve(balancers, stream, connection, active, stop, HttpVersion::Http1).await,
                Some(acceptor) => serve_tls(balancers, stream, connection, acceptor, active, stop).await,
            }
        });
    }
}

async fn serve_tls(
    balancers: Arc<LoadBalancers>,
    stream: TcpStream,
    connection: Connection,
    acceptor: TlsAcceptor,
    active: Active,
    stop: CancellationToken,
) {
    let mut first = [0];
    match timeout(TLS_HANDSHAKE_TIMEOUT, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first == [TLS_HANDSHAKE] => {}
        Ok(Ok(1)) => return reject_plain_http(stream).await,
        _ => return,
    }
    let port = connection.port;
    match timeout(TLS_HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let version = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => HttpVersion::Http2,
                _ => HttpVersion::Http1,
            };
            serve(balancers, stream, connection, active, stop, version).await;
        }
        Ok(Err(error)) => tracing::debug!(port, %error, "the TLS handshake with a client failed"),
        Err(_) => tracing::debug!(port, "the TLS handshake with a client timed out"),
    }
}

/// Responds to one plain HTTP request, and closes the connection.
async fn reject_plain_http(stream: TcpStream) {
    let service = service_fn(|_: Request<Incoming>| async { Ok::<_, Infallible>(responses::plain_http_on_tls()) });
    let connection = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let _ = timeout(TLS_HANDSHAKE_TIMEOUT, connection).await;
}

#[derive(Clone, Copy)]
enum HttpVersion {
    Http1,
    Http2,
}

async fn serve<S>(
    balancers: Arc<LoadBalancers>,
    stream: S,
    origin: Connection,
    active: Active,
    stop: CancellationToken,
    version: HttpVersion,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The time for a complete head, from the end of the response before.
    let head_timeout = active.read().config.idle_timeout;
    let stream = ClientStream::new(stream);
    let scan = stream.scan();
    let service = service_fn(move |request| {
        let config = active.read().config.clone();
        proxy::handle(balancers.clone(), config, origin, scan.clone(), request)
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut builder = match version {
        HttpVersion::Http1 => builder.http1_only(),
        HttpVersion::Http2 => builder.http2_only(),
    };
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout);
    builder.http2().timer(TokioTimer::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = timeout(Duration::from_secs(5), connection).await;
}
