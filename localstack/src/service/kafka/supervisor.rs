//! Supervision of the brokers behind clusters.

use async_trait::async_trait;

use super::broker::server;
use super::model::{self, CLUSTERS, Clusters};
use super::{lifecycle, sasl_proxy};
use crate::records::{Record, Records};
use crate::service::supervisor::{self, Supervised};
use crate::{AwsError, Context};

#[async_trait]
impl Supervised for Clusters {
    const RECORDS: Records = CLUSTERS;

    fn is_active(record: &Record) -> bool {
        model::is_active(record)
    }

    async fn ensure_running(cx: &Context, record: &Record) {
        let arn = &record.id;
        let Ok(server) = server(cx, record) else { return };
        if server.running().is_none() || !server.is_current() {
            tracing::info!(cluster = %arn, "starting the broker of a cluster");
            server.stop().await;
            if let Err(error) = server.start().await {
                let error = format!("{error:#}");
                tracing::error!(cluster = %arn, error, "cannot start the broker of a cluster");
            }
        }
        if let Err(error) = sasl_proxy::ensure_sasl_proxy(cx, arn, &server) {
            tracing::error!(cluster = %arn, %error, "cannot start the IAM listener of a cluster");
        }
    }

    async fn stop(cx: &Context, record: &Record) {
        if let Ok(server) = server(cx, record) {
            server.stop().await;
        }
    }

    async fn delete(cx: &Context, arn: &str) -> Result<(), AwsError> {
        lifecycle::delete(cx, arn).await
    }
}

/// Deletes the clusters that the last run left unfinished, then starts the brokers.
pub async fn recover(cx: &Context) -> anyhow::Result<()> {
    supervisor::delete_unfinished::<Clusters>(cx).await?;
    Ok(supervisor::start::<Clusters>(cx).await?)
}
