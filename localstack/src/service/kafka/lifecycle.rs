//! The life of a cluster: one broker, started, watched, restarted, destroyed.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::join_all;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::sleep;
use uuid::Uuid;

use super::access;
use super::topic::TOPICS;
use crate::records::{Record, Records};
use crate::runtime::broker::{Server, Settings};
use crate::{AwsError, Context, Desired};

pub const CLUSTERS: Records = Records("kafka.clusters");
pub const STATE: &str = "state";
pub const ACTIVE: &str = "ACTIVE";

/// What MSK calls the cluster's version, for optimistic updates; here it never moves.
pub const VERSION: &str = "K3P5ROKL5A1OLE";

const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Held while it is decided what becomes of a cluster.
#[derive(Default)]
struct Deciding(Mutex<()>);

pub fn find(cx: &Context, arn: &str) -> Result<Record, AwsError> {
    CLUSTERS.get(cx, arn)?.ok_or_else(|| {
        let words = format!("Cluster with ARN {arn} not found.");
        AwsError::new("NotFoundException", words).with_status(404)
    })
}

/// Refuses what MSK refuses.
pub fn check(record: &Record) -> Result<(), AwsError> {
    let bad = |words: &str| Err(AwsError::new("BadRequestException", words));
    let subnets = record
        .properties
        .get("BrokerNodeGroupInfo")
        .and_then(|info| info.get("ClientSubnets"));
    let subnets = crate::records::texts(subnets).len();
    let brokers: usize = record
        .text("NumberOfBrokerNodes")
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    if !(2..=3).contains(&subnets) {
        return bad("Specify either two or three client subnets.");
    }
    if brokers == 0 || !brokers.is_multiple_of(subnets) {
        return bad(
            "The number of broker nodes must be a multiple of Availability Zones in the Client Subnets parameter.",
        );
    }
    access::check(record)
}

/// Makes a cluster; returns when its broker answers. A failed one leaves nothing behind.
pub async fn create(cx: &Context, desired: &Desired) -> Result<Record, AwsError> {
    let mut record = Record::new("", desired);
    check(&record)?;
    reserve(cx, &mut record).await?;
    let server = server(cx, &record)?;
    let started = tokio::select! {
        started = server.start() => started.map_err(AwsError::from),
        () = desired.cancel.cancelled() => Err(AwsError::new("Cancelled", "Resource creation cancelled")),
    };
    let opened = started.and_then(|broker| {
        record.computed.insert("broker".into(), broker.into());
        record.computed.insert(STATE.into(), ACTIVE.into());
        access::ensure_sasl_proxy(cx, &record.id, &self::server(cx, &record)?)
    });
    match opened {
        Ok(()) => {
            CLUSTERS.put(cx, &record)?;
            Ok(record)
        }
        Err(error) => {
            if let Err(left) = delete(cx, &record.id).await {
                tracing::warn!(cluster = %record.id, error = %left, "a cluster that failed is not wholly removed");
            }
            Err(error)
        }
    }
}

async fn reserve(cx: &Context, record: &mut Record) -> Result<(), AwsError> {
    let name = record.text("ClusterName").unwrap_or_default();
    let part = cx.extension::<Deciding>();
    let _held = part.0.lock().await;
    let others = CLUSTERS.list(cx)?;
    if others.iter().any(|other| other.has("ClusterName", &name)) {
        let words = format!("A cluster with the name {name} already exists.");
        return Err(AwsError::new("ConflictException", words).with_status(409));
    }
    let taken: Vec<String> = others.iter().filter_map(|other| other.computed("address")).collect();
    let address = (1..=254)
        .map(|n| cx.loopback().broker(n).to_string())
        .find(|address| !taken.contains(address));
    let address =
        address.ok_or_else(|| AwsError::new("BadRequestException", "There is no address left for a broker."))?;
    let id = Uuid::new_v4();
    record.id = cx.arn("kafka", &format!("cluster/{name}/{id}-1"));
    record.computed.insert("uuid".into(), id.to_string().into());
    record
        .computed
        .insert("cluster_id".into(), URL_SAFE_NO_PAD.encode(id.as_bytes()).into());
    record.computed.insert("address".into(), address.into());
    record.computed.insert(STATE.into(), "CREATING".into());
    CLUSTERS.put(cx, record)
}

/// The broker behind a cluster.
pub fn server(cx: &Context, record: &Record) -> Result<Server, AwsError> {
    let fact = |name: &str| record.computed(name).unwrap_or_default();
    let address = fact("address").parse();
    let address = address.map_err(|_| AwsError::internal(format!("the record of {} is broken", record.id)))?;
    let settings = Settings {
        folder: cx.state_dir().join("kafka").join(fact("uuid")),
        address,
        listeners: access::listeners(record),
        cluster_id: fact("cluster_id"),
    };
    // The data belongs to the program that wrote it.
    let broker = record.computed.get("broker").and_then(Value::as_str).map(str::to_owned);
    Ok(Server {
        settings,
        broker: broker.or_else(|| cx.config().broker.clone()),
    })
}

/// Gives an active cluster other settings; the broker starts anew when it has to listen elsewhere.
pub async fn change(cx: &Context, record: &Record) -> Result<(), AwsError> {
    let part = cx.extension::<Deciding>();
    let _held = part.0.lock().await;
    let wanted = server(cx, record)?;
    if !wanted.is_current() {
        access::stop_sasl_proxy(cx, &record.id);
        wanted.stop().await;
        wanted.start().await?;
    }
    access::ensure_sasl_proxy(cx, &record.id, &wanted)?;
    CLUSTERS.put(cx, record)
}

/// Ends the broker and removes its data; a cluster that is not there is fine.
pub async fn delete(cx: &Context, arn: &str) -> Result<(), AwsError> {
    {
        let part = cx.extension::<Deciding>();
        let _held = part.0.lock().await;
        let Some(mut record) = CLUSTERS.get(cx, arn)? else {
            return Ok(());
        };
        record.computed.insert(STATE.into(), "DELETING".into());
        CLUSTERS.put(cx, &record)?;
    }
    let record = find(cx, arn)?;
    access::stop_sasl_proxy(cx, arn);
    server(cx, &record)?.destroy().await?;
    for topic in TOPICS.list(cx)? {
        if topic.has("ClusterArn", arn) {
            TOPICS.delete(cx, &topic.id)?;
        }
    }
    CLUSTERS.delete(cx, arn)?;
    Ok(())
}

/// After a start of the endpoint: adopts the brokers that live, starts the others, and watches all.
pub async fn resume(cx: &Context) -> anyhow::Result<()> {
    for record in CLUSTERS.list(cx)? {
        // The endpoint died while it made or removed this one; the stack that wanted it does the same again.
        if record.computed(STATE).as_deref() != Some(ACTIVE) {
            delete(cx, &record.id).await?;
        }
    }
    let clusters = CLUSTERS.list(cx)?;
    join_all(clusters.iter().map(|record| revive(cx, &record.id))).await;
    let cx = cx.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = cx.shutdown().cancelled() => break,
                () = sleep(WATCH_EVERY) => {}
            }
            for record in CLUSTERS.list(&cx).unwrap_or_default() {
                let part = cx.extension::<Deciding>();
                let _held = part.0.lock().await;
                revive(&cx, &record.id).await;
            }
        }
    });
    Ok(())
}

/// Starts the broker of an active cluster when it does not run, or not as it should; keeps its door open.
async fn revive(cx: &Context, arn: &str) {
    let Ok(Some(record)) = CLUSTERS.get(cx, arn) else {
        return;
    };
    if record.computed(STATE).as_deref() != Some(ACTIVE) || cx.shutdown().is_cancelled() {
        return;
    }
    let Ok(server) = server(cx, &record) else { return };
    if server.running().is_none() || !server.is_current() {
        tracing::info!(cluster = %arn, "starts the broker of a cluster");
        server.stop().await;
        if let Err(error) = server.start().await {
            tracing::error!(cluster = %arn, error = format!("{error:#}"), "the broker of a cluster does not start");
        }
    }
    if let Err(error) = access::ensure_sasl_proxy(cx, arn, &server) {
        tracing::error!(cluster = %arn, %error, "the door of a cluster does not open");
    }
}

/// Ends every broker; the data stays.
pub async fn suspend(cx: &Context) {
    let part = cx.extension::<Deciding>();
    let _held = part.0.lock().await;
    let servers: Vec<Server> = CLUSTERS
        .list(cx)
        .unwrap_or_default()
        .iter()
        .flat_map(|r| server(cx, r))
        .collect();
    join_all(servers.iter().map(Server::stop)).await;
}
