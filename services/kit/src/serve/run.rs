//! The life of a service's process.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow};
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

/// How long open requests may still take after the listeners close.
const DRAIN: Duration = Duration::from_secs(19);
/// How long backgrounds may take to stop after that; with 1 s for the last spans, it stays within the 25 s promised.
const STOP: Duration = Duration::from_secs(5);

/// Connections to the management address, which only the platform uses.
const MANAGEMENT: usize = 64;

type Outcome = (&'static str, anyhow::Result<()>);

pub(super) async fn run(server: Server) -> anyhow::Result<()> {
    let listener = bind("http", server.args.address()).await?;
    run_on(server, listener, signalled()).await
}

/// Serves on this listener until `stop`, in the order that the module's documentation tells.
pub(super) async fn run_on(
    mut server: Server,
    listener: TcpListener,
    stop: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let stopping = Arc::new(AtomicBool::new(false));
    let closing = CancellationToken::new();
    let ending = CancellationToken::new();
    let (public, management) = super::edge::routers(&mut server, stopping.clone());

    let mut doors: JoinSet<Outcome> = JoinSet::new();
    let door = |router, places| connection::Door {
        router,
        limits: server.limits,
        places: Arc::new(Semaphore::new(places)),
        stopping: stopping.clone(),
        closing: closing.clone(),
    };
    let http = connection::serve(listener, door(public, server.args.max_connections as usize));
    doors.spawn(async move { ("http", http.await) });
    if let (Some(address), Some(router)) = (server.management, management) {
        let management = connection::serve(bind("management", address).await?, door(router, MANAGEMENT));
        doors.spawn(async move { ("management", management.await) });
    }
    for (name, address, work) in server.listeners {
        let listener = bind(name, address).await?;
        let work = work(listener, closing.clone());
        doors.spawn(async move { (name, work.await) });
    }
    let mut backgrounds: JoinSet<Outcome> = JoinSet::new();
    for (name, work) in server.backgrounds {
        let work = work(ending.clone());
        backgrounds.spawn(async move { (name, work.await) });
    }

    let cause = tokio::select! {
        cause = stop => cause,
        reason = fatal::raised() => Err(anyhow!(reason)),
        Some(left) = doors.join_next() => Err(early(left)),
        cause = failed(&mut backgrounds) => Err(cause),
    };
    if let Err(error) = &cause {
        tracing::error!(error = format!("{error:#}"), "stopping");
    }
    stopping.store(true, Ordering::Relaxed);
    if cause.is_ok() {
        tracing::info!(
            seconds = server.args.shutdown_delay,
            "stopping: not ready any more, still taking requests"
        );
        sleep(Duration::from_secs(server.args.shutdown_delay)).await;
    }
    closing.cancel();
    if timeout(DRAIN, async { while doors.join_next().await.is_some() {} })
        .await
        .is_err()
    {
        tracing::warn!("some requests were cut off: they took longer than the drain allows");
        doors.abort_all();
    }
    ending.cancel();
    if timeout(STOP, async { while backgrounds.join_next().await.is_some() {} })
        .await
        .is_err()
    {
        tracing::warn!("some background work was cut off");
        backgrounds.abort_all();
    }
    tracing::info!("{} has stopped", server.name);
    crate::telemetry::finish().await;
    cause
}

async fn bind(name: &'static str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} cannot be bound for {name}; is something else listening there?"))?;
    let real = listener.local_addr()?;
    tracing::info!(listener = name, address = %real, "listening");
    Ok(listener)
}

async fn signalled() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Waits for a background that fails; one that ends well is simply done.
async fn failed(backgrounds: &mut JoinSet<Outcome>) -> anyhow::Error {
    loop {
        match backgrounds.join_next().await {
            Some(Ok((_, Ok(())))) => {}
            Some(left) => return early(left),
            None => std::future::pending().await,
        }
    }
}

fn early(left: Result<Outcome, tokio::task::JoinError>) -> anyhow::Error {
    match left {
        Ok((name, Err(error))) => error.context(format!("{name} failed")),
        Ok((name, Ok(()))) => anyhow!("{name} ended before it was told to"),
        Err(error) => anyhow!("a part of the service panicked: {error}"),
    }
}
