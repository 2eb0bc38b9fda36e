//! One port of a load balancer, on both loopback addresses.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{ListenerRules, answer, proxy, tls};
use endpoint_core::{AwsError, Context};

/// How long a client may take to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What begins the first record of TLS (RFC 8446, section 5.1: the content type `handshake`).
const TLS_HANDSHAKE: u8 = 22;

/// An open port; dropping it closes the port and ends its idle connections.
pub struct Open {
    serving: Shared,
    _closes: DropGuard,
}

type Shared = Arc<RwLock<Serving>>;

/// What the next connection gets.
#[derive(Clone)]
struct Serving {
    rules: Arc<ListenerRules>,
    acceptor: Option<TlsAcceptor>,
}

/// How a request came in.
#[derive(Debug, Clone, Copy)]
pub struct Via {
    pub peer: SocketAddr,
    /// The listener's.
    pub port: u16,
    pub secure: bool,
}

impl Via {
    pub fn scheme(self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

impl Open {
    /// Connections that are open already see new rules too; how they speak stays.
    pub fn replace(&self, cx: &Context, rules: ListenerRules) -> Result<(), AwsError> {
        let held = current(&self.serving);
        let acceptor = match &rules.tls {
            same if *same == held.rules.tls => held.acceptor,
            wanted => wanted.as_ref().map(|tls| tls::acceptor(cx, tls)).transpose()?,
        };
        let rules = Arc::new(rules);
        *self.serving.write().expect("no panic holds this lock") = Serving { rules, acceptor };
        Ok(())
    }
}

fn current(serving: &Shared) -> Serving {
    serving.read().expect("no panic holds this lock").clone()
}

/// Listens on 127.0.0.1 and, where the machine has it, ::1.
pub fn open(cx: &Context, port: u16, rules: ListenerRules) -> Result<Open, AwsError> {
    let stop = cx.shutdown().child_token();
    let acceptor = rules.tls.as_ref().map(|tls| tls::acceptor(cx, tls)).transpose()?;
    let rules = Arc::new(rules);
    let serving = Arc::new(RwLock::new(Serving { rules, acceptor }));
    let mut sockets = vec![bind(IpAddr::V4(Ipv4Addr::LOCALHOST), port)?];
    match std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(_) => sockets.push(bind(IpAddr::V6(Ipv6Addr::LOCALHOST), port)?),
        Err(_) => tracing::info!(
            port,
            "this machine has no ::1: the load balancer listens on 127.0.0.1 only"
        ),
    }
    for socket in sockets {
        tokio::spawn(accept(cx.clone(), socket, port, serving.clone(), stop.clone()));
    }
    Ok(Open {
        serving,
        _closes: stop.drop_guard(),
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

async fn accept(cx: Context, socket: TcpListener, port: u16, serving: Shared, stop: CancellationToken) {
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
        let (cx, serving, stop) = (cx.clone(), serving.clone(), stop.clone());
        tokio::spawn(async move {
            match current(&serving).acceptor {
                None => {
                    let via = Via {
                        peer,
                        port,
                        secure: false,
                    };
                    serve(cx, stream, via, serving, stop, Inside::Http1).await;
                }
                Some(acceptor) => {
                    let via = Via {
                        peer,
                        port,
                        secure: true,
                    };
                    secured(cx, stream, via, acceptor, serving, stop).await;
                }
            }
        });
    }
}

async fn secured(
    cx: Context,
    stream: TcpStream,
    via: Via,
    acceptor: TlsAcceptor,
    serving: Shared,
    stop: CancellationToken,
) {
    let mut first = [0];
    match timeout(HANDSHAKE, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first == [TLS_HANDSHAKE] => {}
        Ok(Ok(1)) => return refuse(stream).await,
        _ => return,
    }
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let inside = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Inside::Http2,
                _ => Inside::Http1,
            };
            serve(cx, stream, via, serving, stop, inside).await;
        }
        Ok(Err(error)) => tracing::debug!(port = via.port, %error, "a client and the listener did not agree on TLS"),
        Err(_) => tracing::debug!(port = via.port, "a client did not end its TLS handshake"),
    }
}

/// Says so, once, to a client that speaks in the clear.
async fn refuse(stream: TcpStream) {
    let service = service_fn(|_: Request<Incoming>| async { Ok::<_, Infallible>(answer::in_the_clear()) });
    let connection = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let _ = timeout(HANDSHAKE, connection).await;
}

/// Which HTTP a connection speaks.
#[derive(Clone, Copy)]
enum Inside {
    Http1,
    Http2,
}

async fn serve<S>(cx: Context, stream: S, via: Via, serving: Shared, stop: CancellationToken, inside: Inside)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let rules = current(&serving).rules;
        proxy::answer(cx.clone(), rules, via, request)
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut builder = match inside {
        Inside::Http1 => builder.http1_only(),
        Inside::Http2 => builder.http2_only(),
    };
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(60));
    builder.http2().timer(TokioTimer::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = timeout(Duration::from_secs(5), connection).await;
}
