//! Keeps the servers of the instances running, from the endpoint's start to its end.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;

use super::lifecycle::{AVAILABLE, Deciding, INSTANCES, STATUS, cluster, delete};
use super::snapshot;
use crate::Context;
use crate::runtime::postgres::Cluster;

const EVERY: Duration = Duration::from_secs(1);

/// After a start of the endpoint: adopts the servers that live, starts the others, and watches all.
pub async fn resume(cx: &Context) -> anyhow::Result<()> {
    for record in INSTANCES.list(cx)? {
        // The endpoint died while it made or removed this one; the stack that wanted it does the same again.
        if record.computed(STATUS).as_deref() != Some(AVAILABLE) {
            delete(cx, &record.id, None).await?;
        }
    }
    snapshot::resume(cx)?;
    let records = INSTANCES.list(cx)?;
    join_all(records.iter().map(|record| revive(cx, &record.id))).await;
    let cx = cx.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = cx.shutdown().cancelled() => break,
                () = sleep(EVERY) => {}
            }
            for record in INSTANCES.list(&cx).unwrap_or_default() {
                let part = cx.extension::<Deciding>();
                let _held = part.0.lock().await;
                revive(&cx, &record.id).await;
            }
        }
    });
    Ok(())
}

/// Starts the server of an available instance when it does not run.
async fn revive(cx: &Context, id: &str) {
    let Ok(Some(record)) = INSTANCES.get(cx, id) else {
        return;
    };
    if record.computed(STATUS).as_deref() != Some(AVAILABLE) || cx.shutdown().is_cancelled() {
        return;
    }
    let Ok(cluster) = cluster(cx, &record) else { return };
    if cluster.running().is_some() {
        return;
    }
    tracing::info!(instance = %id, "starts the database of an instance");
    if let Err(error) = cluster.start().await {
        tracing::error!(instance = %id, error = format!("{error:#}"), "the database of an instance does not start");
    }
}

/// Ends every server; the data stays.
pub async fn suspend(cx: &Context) {
    let part = cx.extension::<Deciding>();
    let _held = part.0.lock().await;
    let clusters: Vec<Cluster> = INSTANCES
        .list(cx)
        .unwrap_or_default()
        .iter()
        .flat_map(|r| cluster(cx, r))
        .collect();
    join_all(clusters.iter().map(|cluster| async move {
        if let Some(server) = cluster.running() {
            cluster.stop(server).await;
        }
    }))
    .await;
}
