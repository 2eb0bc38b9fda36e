//! Creation, change and deletion of a cluster: one broker.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::broker::{self, server};
use super::model::{self, ACTIVE, CLUSTERS, Clusters, STATE, TOPICS};
use super::sasl_proxy::{ensure_sasl_proxy, stop_sasl_proxy};
use crate::behavior::SlowOperation;
use crate::records::{Record, texts};
use crate::service::supervisor::LifecycleLock;
use crate::{AwsError, Context, Desired, Initiated};

/// Rejects properties that MSK rejects.
pub fn check(record: &Record) -> Result<(), AwsError> {
    let bad_request = |message: &str| Err(AwsError::new("BadRequestException", message));
    let subnets = record
        .properties
        .get("BrokerNodeGroupInfo")
        .and_then(|info| info.get("ClientSubnets"));
    let subnets = texts(subnets).len();
    let brokers: usize = record
        .text("NumberOfBrokerNodes")
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    if !(2..=3).contains(&subnets) {
        return bad_request("Specify either two or three client subnets.");
    }
    if brokers == 0 || !brokers.is_multiple_of(subnets) {
        return bad_request(
            "The number of broker nodes must be a multiple of Availability Zones in the Client Subnets parameter.",
        );
    }
    broker::check_security(record)
}

/// Creates a cluster and returns when its broker responds. A failed creation leaves nothing behind.
pub async fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
    let mut record = Record::new("", desired);
    check(&record)?;
    reserve(cx, &mut record, &desired.initiated).await?;
    let server = server(cx, &record)?;
    let delay = cx.config().behavior.delay(SlowOperation::CreateCluster);
    let started = async {
        tokio::time::sleep(delay).await;
        server.start().await.map_err(AwsError::from)
    };
    let started = tokio::select! {
        started = started => started,
        () = desired.cancel.cancelled() => Err(AwsError::new("Cancelled", "Resource creation cancelled")),
    };
    let listening = started.and_then(|broker| {
        record.computed.insert("broker".into(), broker.into());
        record.computed.insert(STATE.into(), ACTIVE.into());
        ensure_sasl_proxy(cx, &record.id, &broker::server(cx, &record)?)
    });
    match listening {
        Ok(()) => {
            CLUSTERS.put(cx, &record)?;
            Ok(record)
        }
        Err(error) => {
            if let Err(deletion) = delete(cx, &record.id).await {
                tracing::warn!(cluster = %record.id, error = %deletion, "a failed cluster was not deleted completely");
            }
            Err(error)
        }
    }
}

/// Reserves the name and a free address.
async fn reserve(cx: &Context, record: &mut Record, initiated: &Initiated) -> Result<(), AwsError> {
    let name = record.text("ClusterName").unwrap_or_default();
    let part = cx.extension::<LifecycleLock<Clusters>>();
    let _held = part.hold().await;
    let others = CLUSTERS.list(cx)?;
    if others.iter().any(|other| other.has("ClusterName", &name)) {
        let message = format!("A cluster with the name {name} already exists.");
        return Err(AwsError::new("ConflictException", message).with_status(409));
    }
    let taken: Vec<String> = others.iter().filter_map(|other| other.computed("address")).collect();
    let block = cx.loopback()?;
    let address = (1..=254)
        .map(|n| block.broker(n).to_string())
        .find(|address| !taken.contains(address));
    let address = address.ok_or_else(|| {
        AwsError::new(
            "BadRequestException",
            "The embedded endpoint has addresses for at most 254 clusters.",
        )
    })?;
    let id = Uuid::new_v4();
    record.id = cx.arn("kafka", &format!("cluster/{name}/{id}-1"));
    record.computed.insert("uuid".into(), id.to_string().into());
    record
        .computed
        .insert("cluster_id".into(), URL_SAFE_NO_PAD.encode(id.as_bytes()).into());
    record.computed.insert("address".into(), address.into());
    record.computed.insert(STATE.into(), "CREATING".into());
    cx.store().transaction(|| {
        CLUSTERS.put(cx, record)?;
        Ok(initiated.report(&record.id)?)
    })
}

/// Applies the new settings of an active cluster; restarts the broker if its listeners change.
pub async fn change(cx: &Context, record: &Record) -> Result<(), AwsError> {
    let part = cx.extension::<LifecycleLock<Clusters>>();
    let _held = part.hold().await;
    let server = server(cx, record)?;
    if !server.is_current() {
        stop_sasl_proxy(cx, &record.id);
        server.stop().await;
        server.start().await?;
    }
    ensure_sasl_proxy(cx, &record.id, &server)?;
    CLUSTERS.put(cx, record)
}

/// Deletes the broker and its data. Succeeds if the cluster does not exist.
pub async fn delete(cx: &Context, arn: &str) -> Result<(), AwsError> {
    {
        let part = cx.extension::<LifecycleLock<Clusters>>();
        let _held = part.hold().await;
        let Some(mut record) = CLUSTERS.get(cx, arn)? else {
            return Ok(());
        };
        record.computed.insert(STATE.into(), "DELETING".into());
        CLUSTERS.put(cx, &record)?;
    }
    let record = model::cluster(cx, arn)?;
    stop_sasl_proxy(cx, arn);
    server(cx, &record)?.destroy().await?;
    for topic in TOPICS.list(cx)? {
        if topic.has("ClusterArn", arn) {
            TOPICS.delete(cx, &topic.id)?;
        }
    }
    CLUSTERS.delete(cx, arn)?;
    Ok(())
}
