//! The HTTP server of a service: routes, health, metrics and graceful shutdown.

mod connection;
mod dependencies;
mod health;
mod malformed;
mod metrics;
mod middleware;
mod query_parameters;
mod request_body;
mod run;
mod security_headers;
mod stream;
mod time_limit;

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use futures::{FutureExt, future::BoxFuture};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;

use health::{Check, Checks};

/// Address, shutdown delay and connection limit of a service.
#[derive(Debug, Clone, clap::Args)]
pub struct ServeArgs {
    /// Address to bind
    #[arg(long, env = "HOST", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    pub host: IpAddr,
    /// Port for HTTP; 0 selects a free one, which is logged
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// Seconds during which requests are still accepted after SIGTERM, so that load balancers notice first
    #[arg(long, env = "SHUTDOWN_DELAY", default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=60))]
    pub shutdown_delay: u64,
    /// Maximum number of open connections; further ones wait until one closes
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,
}

impl ServeArgs {
    /// Returns the address of HTTP.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

/// Timeouts for slow clients, and the maximum size of a request's head.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Timeout of a request's head, from its first byte.
    pub head: Duration,
    /// Timeout of a connection without a request.
    pub idle: Duration,
    /// Age at which a connection is closed after its current response, so that clients find new tasks.
    pub age: Duration,
    /// Timeout of a client that does not read its response.
    pub stall: Duration,
    /// Time for which the unread body of a refused request is read and dropped, and a connection that is being closed.
    pub drain: Duration,
    /// Bytes of such a body, or of such a connection, that are read and dropped.
    pub drain_bytes: usize,
    /// Maximum size of a head in bytes, with its first line; a larger one is 431.
    pub head_bytes: usize,
    /// Maximum number of headers; more are 431.
    pub headers: usize,
}

type Work = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;
type BackgroundTask = (&'static str, Box<dyn FnOnce(CancellationToken) -> Work + Send>);
type Listener = (
    &'static str,
    SocketAddr,
    Box<dyn FnOnce(TcpListener, CancellationToken) -> Work + Send>,
);

/// The server of a service, before it runs.
///
/// `/health/live`, `/health/ready`, `/metrics` and `/v3/api-docs` are added to the service's own routes; unknown routes
/// and methods are problems; the default limits are 1 MiB for bodies and 15 s for requests. Query
/// parameters that the document does not have are 400. It speaks HTTP/1.1 without
/// upgrades, disconnects slow clients ([`Limits`]), and every response carries security and cache headers.
#[must_use]
pub struct Server {
    name: &'static str,
    args: ServeArgs,
    routes: Router,
    custom_fallback: bool,
    openapi: Option<OpenApi>,
    management: Option<SocketAddr>,
    body_limit: usize,
    request_timeout: Duration,
    limits: Limits,
    checks: Checks,
    background_tasks: Vec<BackgroundTask>,
    listeners: Vec<Listener>,
}

impl Server {
    /// Creates a server without routes.
    pub fn new(name: &'static str, args: &ServeArgs) -> Self {
        Self {
            name,
            args: args.clone(),
            routes: Router::new(),
            custom_fallback: false,
            openapi: None,
            management: None,
            body_limit: 1 << 20,
            request_timeout: Duration::from_secs(15),
            limits: Limits::default(),
            checks: Checks::default(),
            background_tasks: Vec::new(),
            listeners: Vec::new(),
        }
    }

    /// Adds the service's own routes; they must not set a fallback unless [`Server::custom_fallback`] is called.
    pub fn routes(mut self, routes: Router) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Keeps the fallback of the service's own routes, as a proxy needs.
    pub fn custom_fallback(mut self) -> Self {
        self.custom_fallback = true;
        self
    }

    /// Serves this document at `/v3/api-docs`.
    pub fn openapi(mut self, document: OpenApi) -> Self {
        self.openapi = Some(document);
        self
    }

    /// Moves `/health/ready` and `/metrics` to this address, away from the public one.
    pub fn management(mut self, address: SocketAddr) -> Self {
        self.management = Some(address);
        self
    }

    /// Sets the maximum size of a request body, in bytes.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sets the time limit of one request.
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = limit;
        self
    }

    /// Sets the timeouts for slow clients, and the maximum size of a head.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds a check that must succeed for the service to be ready, such as of the service's database.
    pub fn readiness_check<F, Fut>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.checks.push(Check::new(name, true, check));
        self
    }

    /// Adds a check that is reported but not counted, such as of a peer: a dead peer must not get this task replaced.
    pub fn informational_check<F, Fut>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.checks.push(Check::new(name, false, check));
        self
    }

    /// Runs work beside the requests; it is stopped after the last request, and its failure ends the process.
    pub fn background_task<F, Fut>(mut self, name: &'static str, work: F) -> Self
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.background_tasks
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
    /// If an address cannot be bound, a background task fails, or [`crate::fatal::raise`] was called.
    pub fn run(self) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(run::run(self))
    }

    /// Serves on a listener that is already bound, until `stop` instead of a signal; for tests of a complete service.
    ///
    /// # Errors
    /// Those of [`Server::run`].
    pub fn run_on(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> BoxFuture<'static, anyhow::Result<()>> {
        let stop: BoxFuture<'static, anyhow::Result<()>> = Box::pin(stop.map(Ok));
        Box::pin(run::run_on(self, listener, stop))
    }

    /// Returns the public and the management router, as [`Server::run`] serves them; for tests of a complete service.
    pub fn routers(&mut self) -> (Router, Option<Router>) {
        middleware::routers(self, Arc::default())
    }
}
