//! Supervision of the PostgreSQL servers behind instances.

use async_trait::async_trait;
use serde_json::Value;

use super::model::{self, INSTANCES, Instances, REBOOTING_UNTIL};
use super::server::cluster;
use super::{events, failures, lifecycle, rotation, snapshot};
use crate::records::{Record, Records, now};
use crate::service::supervisor::{self, Supervised};
use crate::{AwsError, Context};

#[async_trait]
impl Supervised for Instances {
    const RECORDS: Records = INSTANCES;

    fn is_active(record: &Record) -> bool {
        model::is_available(record)
    }

    fn is_unfinished(record: &Record) -> bool {
        !model::is_available(record) && !lifecycle::is_resumable(record)
    }

    async fn ensure_running(cx: &Context, record: &Record) {
        let Ok(cluster) = cluster(cx, record) else { return };
        let rebooting_until = record.computed.get(REBOOTING_UNTIL).and_then(Value::as_i64);
        if cluster.running().is_some() {
            return failures::record(cx, record, false);
        }
        if rebooting_until.is_some_and(|until| now() < until) {
            return;
        }
        tracing::info!(instance = %record.id, "starting the database of an instance");
        let started = cluster.start().await;
        failures::record(cx, record, started.is_err());
        if let Err(error) = started {
            let error = format!("{error:#}");
            tracing::error!(instance = %record.id, error, "cannot start the database of an instance");
        } else if rebooting_until.is_some() {
            let mut record = record.clone();
            record.computed.shift_remove(REBOOTING_UNTIL);
            let stored = cx.store().transaction(|| {
                events::record(cx, &model::instance_arn(cx, &record.id), &events::RESTARTED)?;
                INSTANCES.put(cx, &record)
            });
            if let Err(error) = stored {
                tracing::error!(instance = %record.id, %error, "cannot store the end of a reboot");
            }
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
    supervisor::start::<Instances>(cx).await?;
    lifecycle::resume_unfinished(cx)?;
    Ok(rotation::complete_unfinished(cx).await?)
}
