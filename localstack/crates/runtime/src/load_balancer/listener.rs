//! One port of a load balancer, on both loopback addresses.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::RwLock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::client_stream::ClientStream;
use super::connection::{Connection, TlsSession};
use super::session::Session;
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
        let (socket, active, ends) = (Arc::new(socket), active.clone(), stop.clone());
        cx.keep_running_until("load_balancer.listener", stop.clone(), move |cx| {
            accept(cx.extension(), socket.clone(), port, active.clone(), ends.clone())
        });
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
    socket: Arc<TcpListener>,
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
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let (balancers, active, stop) = (balancers.clone(), active.clone(), stop.clone());
        tokio::spawn(async move {
            let acceptor = active.read().acceptor.clone();
            let connection = Connection { peer, port, tls: None };
            let Some(acceptor) = acceptor else {
                let session = Session::new(connection, stop);
                return serve(balancers, stream, session, active, HttpVersion::Http1).await;
            };
            serve_tls(balancers, stream, connection, acceptor, active, stop).await;
        });
    }
}

async fn serve_tls(
    balancers: Arc<LoadBalancers>,
    stream: TcpStream,
    mut connection: Connection,
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
            let tls = stream.get_ref().1;
            connection.tls = Some(TlsSession::of(tls));
            let version = match tls.alpn_protocol() {
                Some(b"h2") => HttpVersion::Http2,
                _ => HttpVersion::Http1,
            };
            serve(balancers, stream, Session::new(connection, stop), active, version).await;
        }
        Ok(Err(error)) => tracing::debug!(port, %error, "the TLS handshake with a client failed"),
        Err(_) => tracing::debug!(port, "the TLS handshake with a client timed out"),
    }
}

/// Responds to one plain HTTP request, and closes the connection.
async fn reject_plain_http(stream: TcpStream) {
    let service = service_fn(|_: Request<Incoming>| async { Ok::<_, Infallible>(responses::plain_http_on_tls()) });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let _ = timeout(TLS_HANDSHAKE_TIMEOUT, connection).await;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum HttpVersion {
    Http1,
    Http2,
}

async fn serve<S>(balancers: Arc<LoadBalancers>, stream: S, session: Session, active: Active, version: HttpVersion)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let session = Arc::new(session);
    let stream = ClientStream::new(stream, session.clone(), version == HttpVersion::Http1);
    let io = TokioIo::new(stream);
    let (shared, config) = (session.clone(), active.clone());
    let service = service_fn(move |request| {
        let config = config.read().config.clone();
        proxy::handle(balancers.clone(), config, shared.clone(), request)
    });
    match version {
        HttpVersion::Http1 => {
            // The idle timeout limits the time of a head, and that between two requests.
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(None);
            let connection = builder.serve_connection(io, service).with_upgrades();
            let end = |connection: Pin<&mut _>| http1::UpgradeableConnection::graceful_shutdown(connection);
            drive(connection, &session, &active, version, end).await;
        }
        HttpVersion::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new());
            let connection = builder.serve_connection(io, service);
            let end = |connection: Pin<&mut _>| http2::Connection::graceful_shutdown(connection);
            drive(connection, &session, &active, version, end).await;
        }
    }
}

/// Serves a connection until the client closes it, it is idle, or the listener closes. One of HTTP/2 ends after the client keep-alive duration;
/// one of HTTP/1 ends with the next response after it.
async fn drive<C: Future>(
    connection: C,
    session: &Session,
    active: &Active,
    version: HttpVersion,
    end: impl Fn(Pin<&mut C>),
) {
    let balancer = || active.read().config.balancer.clone();
    let mut connection = std::pin::pin!(connection);
    let mut age = std::pin::pin!(sleep(balancer().client_keep_alive));
    let mut has_age = version == HttpVersion::Http2;
    loop {
        let idle_timeout = balancer().idle_timeout;
        tokio::select! {
            _ = connection.as_mut() => return,
            () = session.stop.cancelled() => break,
            () = session.idle(idle_timeout) => break,
            () = age.as_mut(), if has_age => {
                has_age = false;
                end(connection.as_mut());
            }
        }
    }
    end(connection.as_mut());
    let _ = timeout(Duration::from_secs(5), connection).await;
}
