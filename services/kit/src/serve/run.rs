//! The life cycle of a service's process: bind, serve, drain, stop.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow};
use futures::future::BoxFuture;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Server, connection};
use crate::fatal;

/// Time limit of open requests after the listeners close.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(19);
/// Time limit of background tasks after that; with 1 s for the last spans, the sum is the documented 25 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum number of connections to the management address, which only the platform uses.
const MANAGEMENT_CONNECTIONS: usize = 64;

type TaskResult = (&'static str, anyhow::Result<()>);

pub(super) async fn run(server: Server) -> anyhow::Result<()> {
    let listener = bind("http", server.args.address()).await?;
    run_on(server, listener, Box::pin(signalled())).await
}

/// Serves on this listener until `stop`, then drains: not ready, closed listeners, stopped background tasks, last spans.
pub(super) async fn run_on(
    mut server: Server,
    listener: TcpListener,
    stop: BoxFuture<'static, anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let stopping = Arc::new(AtomicBool::new(false));
    let closing = CancellationToken::new();
    let ending = CancellationToken::new();
    let (public, management) = super::middleware::routers(&mut server, stopping.clone());

    let mut listeners: JoinSet<TaskResult> = JoinSet::new();
    let context = |router, max_connections| connection::ListenerContext {
        router,
        limits: server.limits,
        permits: Arc::new(Semaphore::new(max_connections)),
        stopping: stopping.clone(),
        closing: closing.clone(),
    };
    let http = connection::serve(listener, context(public, server.args.max_connections as usize));
    listeners.spawn(async move { ("http", http.await) });
    if let (Some(address), Some(router)) = (server.management, management) {
        let management = connection::serve(
            bind("management", address).await?,
            context(router, MANAGEMENT_CONNECTIONS),
        );
        listeners.spawn(async move { ("management", management.await) });
    }
    for (name, address, work) in server.listeners {
        let listener = bind(name, address).await?;
        let work = work(listener, closing.clone());
        listeners.spawn(async move { (name, work.await) });
    }
    let mut background_tasks: JoinSet<TaskResult> = JoinSet::new();
    for (name, work) in server.background_tasks {
        let work = work(ending.clone());
        background_tasks.spawn(async move { (name, work.await) });
    }

    let cause = tokio::select! {
        cause = stop => cause,
        reason = fatal::raised() => Err(anyhow!(reason)),
        Some(ended) = listeners.join_next() => Err(unexpected_end(ended)),
        cause = failed(&mut background_tasks) => Err(cause),
    };
    if let Err(error) = &cause {
        tracing::error!(error = format!("{error:#}"), "stopping");
    }
    stopping.store(true, Ordering::Relaxed);
    if cause.is_ok() {
        tracing::info!(
            seconds = server.args.shutdown_delay,
            "stopping: no longer ready, still accepting requests"
        );
        sleep(Duration::from_secs(server.args.shutdown_delay)).await;
    }
    closing.cancel();
    if timeout(DRAIN_TIMEOUT, async { while listeners.join_next().await.is_some() {} })
        .await
        .is_err()
    {
        tracing::warn!("some requests were aborted: they exceeded the drain timeout");
        listeners.abort_all();
    }
    ending.cancel();
    if timeout(STOP_TIMEOUT, async {
        while background_tasks.join_next().await.is_some() {}
    })
    .await
    .is_err()
    {
        tracing::warn!("some background tasks were aborted");
        background_tasks.abort_all();
    }
    tracing::info!("{} has stopped", server.name);
    crate::telemetry::shutdown().await;
    cause
}

async fn bind(name: &'static str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot bind {address} for {name}; check that no other process listens there"))?;
    let bound = listener.local_addr()?;
    tracing::info!(listener = name, address = %bound, "listening");
    Ok(listener)
}

async fn signalled() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Waits for a background task that fails; one that succeeds is done.
async fn failed(background_tasks: &mut JoinSet<TaskResult>) -> anyhow::Error {
    loop {
        match background_tasks.join_next().await {
            Some(Ok((_, Ok(())))) => {}
            Some(ended) => return unexpected_end(ended),
            None => std::future::pending().await,
        }
    }
}

fn unexpected_end(ended: Result<TaskResult, tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok((name, Err(error))) => error.context(format!("{name} failed")),
        Ok((name, Ok(()))) => anyhow!("{name} exited unexpectedly"),
        Err(error) => anyhow!("a task of the service panicked: {error}"),
    }
}
