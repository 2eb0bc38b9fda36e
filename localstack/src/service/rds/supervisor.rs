//! Supervision of the PostgreSQL servers behind instances.

use async_trait::async_trait;

use super::model::{self, INSTANCES, Instances};
use super::server::cluster;
use super::{lifecycle, snapshot};
use crate::records::{Record, Records};
use crate::service::supervisor::{self, Supervised};
use crate::{AwsError, Context};

#[async_trait]
impl Supervised for Instances {
    const RECORDS: Records = INSTANCES;

    fn is_active(record: &Record) -> bool {
        model::is_available(record)
    }

    async fn ensure_running(cx: &Context, record: &Record) {
        let Ok(cluster) = cluster(cx, record) else { return };
        if cluster.running().is_some() {
            return;
        }
        tracing::info!(instance = %record.id, "starting the database of an instance");
        if let Err(error) = cluster.start().await {
            let error = format!("{error:#}");
            tracing::error!(instance = %record.id, error, "cannot start the database of an instance");
        }
    }

    async fn stop(cx: &Context, record: &Record) {
        if let Ok(cluster) = cluster(cx, record)
            && let Some(server) = cluster.running()
        {
            cluster.stop(server).await;
        }
    }

    async fn delete(cx: &Context, id: &str) -> Result<(), AwsError> {
        lifecycle::delete(cx, id, None).await
    }
}

/// Completes or undoes what the last run left unfinished, then starts the servers.
pub async fn recover(cx: &Context) -> anyhow::Result<()> {
    supervisor::delete_unfinished::<Instances>(cx).await?;
    snapshot::discard_unfinished(cx)?;
    Ok(supervisor::start::<Instances>(cx).await?)
}
