//! One HTTP server for a service: its routes, its health, its end.

mod connection;
mod edge;
mod guard;
mod health;
mod metrics;
mod needs;
mod run;
mod stream;

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;

use health::{Check, Checks};

/// Where a service listens, and how it ends.
#[derive(Debug, Clone, clap::Args)]
pub struct ServeArgs {
    /// Address to bind
    #[arg(long, env = "HOST", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    pub host: IpAddr,
    /// Port for HTTP; 0 takes a free one, which the log tells
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// Seconds that requests are still taken after SIGTERM, so that load balancers notice first
    #[arg(long, env = "SHUTDOWN_DELAY", default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=60))]
    pub shutdown_delay: u64,
    /// Connections that may be open at once; further ones wait until one ends
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,
}

impl ServeArgs {
    /// The address of HTTP.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

/// How patient a server is with its clients, and how much it listens to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long the head of a request may take to arrive, from its first byte.
    pub head: Duration,
    /// How long a connection may stay open without a request.
    pub idle: Duration,
    /// How long a client may take none of an answer.
    pub stall: Duration,
    /// Bytes of a head, its first line included; more is 431.
    pub head_bytes: usize,
    /// Headers of a request; more is 431.
    pub headers: usize,
}

type Work = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;
type Background = (&'static str, Box<dyn FnOnce(CancellationToken) -> Work + Send>);
type Listener = (
    &'static str,
    SocketAddr,
    Box<dyn FnOnce(TcpListener, CancellationToken) -> Work + Send>,
);

/// A service that is about to run.
///
/// `/health/live`, `/health/ready`, `/metrics` and `/v3/api-docs` are added to the service's own routes; unknown routes
/// and methods are problems; bodies end at 1 MiB and requests at 15 s. It speaks HTTP/1.1 without upgrades, gives up on
/// clients that are too slow ([`Limits`]), and every answer has the headers that keep browsers and caches careful.
pub struct Server {
    name: &'static str,
    args: ServeArgs,
    routes: Router,
    own_fallback: bool,
    openapi: Option<OpenApi>,
    management: Option<SocketAddr>,
    body_limit: usize,
    request_timeout: Duration,
    limits: Limits,
    checks: Checks,
    backgrounds: Vec<Background>,
    listeners: Vec<Listener>,
}

impl Server {
    /// A server without routes.
    pub fn new(name: &'static str, args: &ServeArgs) -> Self {
        Self {
            name,
            args: args.clone(),
            routes: Router::new(),
            own_fallback: false,
            openapi: None,
            management: None,
            body_limit: 1 << 20,
            request_timeout: Duration::from_secs(15),
            limits: Limits::default(),
            checks: Checks::default(),
            backgrounds: Vec::new(),
            listeners: Vec::new(),
        }
    }

    /// Adds the service's own routes; they must not set a fallback unless [`Server::own_fallback`] says so.
    pub fn routes(mut self, routes: Router) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Says that the routes bring their own fallback, as a proxy does.
    pub fn own_fallback(mut self) -> Self {
        self.own_fallback = true;
        self
    }

    /// Shows this document under `/v3/api-docs`.
    pub fn openapi(mut self, document: OpenApi) -> Self {
        self.openapi = Some(document);
        self
    }

    /// Moves `/health/ready` and `/metrics` to this address, away from the public one.
    pub fn management(mut self, address: SocketAddr) -> Self {
        self.management = Some(address);
        self
    }

    /// Sets the largest request body, in bytes.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sets how long one request may take.
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = limit;
        self
    }

    /// Sets how patient the server is with slow clients, and how large a head may be.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds a check without which the service is not ready, such as its own database.
    pub fn ready<F, Fut>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.push(Check::new(name, true, check));
        self
    }

    /// Adds a check that is told but not counted, such as a peer: a dead peer must not end this task.
    pub fn report<F, Fut>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.push(Check::new(name, false, check));
        self
    }

    /// Runs work beside the requests; it is stopped after the last request, and its failure ends the process.
    pub fn background<F, Fut>(mut self, name: &'static str, work: F) -> Self
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.backgrounds
            .push((name, Box::new(move |shutdown| Box::pin(work(shutdown)))));
        self
    }

    /// Serves another protocol on its own address, drained together with HTTP.
    pub fn grpc<F, Fut>(mut self, address: SocketAddr, serve: F) -> Self
    where
        F: FnOnce(TcpListener, CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.listeners.push((
            "grpc",
            address,
            Box::new(move |listener, shutdown| Box::pin(serve(listener, shutdown))),
        ));
        self
    }

    /// Binds, serves until SIGTERM or SIGINT, drains, and returns.
    ///
    /// # Errors
    /// When an address cannot be bound, a background fails, or [`crate::fatal::raise`] was called.
    pub async fn run(self) -> anyhow::Result<()> {
        run::run(self).await
    }

    /// The same on a listener that is bound already, until `stop` instead of a signal; for tests of a whole service.
    ///
    /// # Errors
    /// As [`Server::run`].
    pub async fn run_on(self, listener: TcpListener, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        run::run_on(self, listener, async {
            stop.await;
            Ok(())
        })
        .await
    }

    /// The public router and the management one, as [`Server::run`] serves them; for tests of a whole service.
    pub fn routers(&mut self) -> (Router, Option<Router>) {
        edge::routers(self, Arc::default())
    }
}
