//! Descriptions of clusters, nodes and topics. Their members are lowerCamel on the wire.

use serde_json::{Map, Value, json};

use super::api;
use super::broker::server;
use super::configuration::Configuration;
use super::model::{self, CLUSTERS, STATE};
use crate::records::{Record, RecordType, iso, page, scalar};
use crate::{AwsError, Call, Context};

/// The shape of a cluster's description, which differs between the versions of the API.
#[derive(Clone, Copy, PartialEq)]
pub enum ApiVersion {
    V1,
    V2,
}

pub fn clusters(cx: &Context, call: &Call, version: ApiVersion) -> Result<Value, AwsError> {
    let prefix = call.text("clusterNameFilter").unwrap_or_default();
    let mut found = CLUSTERS.list(cx)?;
    found.retain(|record| record.text("ClusterName").unwrap_or_default().starts_with(&prefix));
    // Only provisioned clusters exist here.
    found.retain(|_| call.text("clusterTypeFilter").is_none_or(|kind| kind == "PROVISIONED"));
    let limit = call.limit("maxResults", 100, 1..=100);
    let (found, next) = page(found, limit, call.text("nextToken").as_deref())?;
    let shown: Vec<Value> = found.iter().map(|record| description(record, version)).collect();
    let mut response = json!({"clusterInfoList": shown});
    if let Some(next) = next {
        response["nextToken"] = next.into();
    }
    Ok(response)
}

pub fn cluster(cx: &Context, call: &Call, version: ApiVersion) -> Result<Value, AwsError> {
    Ok(json!({"clusterInfo": description(&cluster_of(cx, call)?, version)}))
}

/// `GetBootstrapBrokers`: the address of each listener that the cluster has.
pub fn bootstrap(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let server = server(cx, &cluster_of(cx, call)?)?;
    let (address, listeners) = (server.settings.address, server.settings.listeners);
    let mut response = json!({});
    if listeners.plaintext_advertised {
        response["bootstrapBrokerString"] = format!("{address}:{}", listeners.plaintext).into();
    }
    if let Some(listener) = server.proxied_listener() {
        response["bootstrapBrokerStringSaslIam"] = format!("{address}:{}", listener.advertised).into();
    }
    Ok(response)
}

pub fn nodes(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = cluster_of(cx, call)?;
    let address = server(cx, &record)?.settings.address.to_string();
    Ok(json!({"nodeInfoList": [{
        "nodeARN": format!("{}/1", record.id.replacen(":cluster/", ":broker/", 1)),
        "nodeType": "BROKER",
        "addedToClusterTime": iso(record.created),
        "brokerNodeInfo": {
            "brokerId": 1,
            "clientVpcIpAddress": address,
            "endpoints": [address],
            "currentBrokerSoftwareInfo": {"kafkaVersion": record.text("KafkaVersion")},
        },
    }]}))
}

pub async fn topics(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = cluster_of(cx, call)?;
    let prefix = call.text("topicNameFilter").unwrap_or_default();
    let found = server(cx, &record)?.client().topics(None).await?;
    let shown: Vec<Value> = found
        .iter()
        .filter(|topic| topic.name.starts_with(&prefix))
        .map(|topic| {
            json!({
                "topicArn": topic_arn(&record, &topic.name),
                "topicName": topic.name,
                "partitionCount": topic.partitions,
                "replicationFactor": topic.replicas,
                "outOfSyncReplicaCount": 0,
            })
        })
        .collect();
    Ok(json!({"topics": shown}))
}

pub async fn topic(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = cluster_of(cx, call)?;
    let name = call.required("topicName")?;
    let found = server(cx, &record)?.client().topics(Some(&[&name])).await?;
    let topic = found.first().ok_or_else(|| {
        AwsError::new(
            "UnknownTopicOrPartitionException",
            format!("The topic {name} does not exist."),
        )
        .with_status(404)
    })?;
    Ok(json!({
        "topicArn": topic_arn(&record, &name),
        "topicName": name,
        "partitionCount": topic.partitions,
        "replicationFactor": topic.replicas,
        "status": if topic.ready { "ACTIVE" } else { "CREATING" },
    }))
}

pub fn configurations(cx: &Context) -> Result<Value, AwsError> {
    let shown: Vec<Value> = Configuration::RECORDS
        .list(cx)?
        .iter()
        .map(api::configuration)
        .collect();
    Ok(json!({"configurations": shown}))
}

pub fn tags(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = model::cluster(cx, &call.required("resourceArn")?)?;
    Ok(json!({"tags": record.tags}))
}

fn cluster_of(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    model::cluster(cx, &call.required("clusterArn")?)
}

fn topic_arn(cluster: &Record, name: &str) -> String {
    format!("{}/{name}", cluster.id.replacen(":cluster/", ":topic/", 1))
}

fn description(record: &Record, version: ApiVersion) -> Value {
    let mut common = json!({
        "clusterArn": record.id,
        "clusterName": record.text("ClusterName"),
        "creationTime": iso(record.created),
        "currentVersion": model::VERSION,
        "state": record.computed(STATE),
        "tags": record.tags,
    });
    let brokers: u32 = record
        .text("NumberOfBrokerNodes")
        .and_then(|n| n.parse().ok())
        .unwrap_or(1);
    let mut group = record
        .properties
        .get("BrokerNodeGroupInfo")
        .map_or_else(|| json!({}), lower_camel);
    if group.get("brokerAZDistribution").is_none() {
        group["brokerAZDistribution"] = "DEFAULT".into();
    }
    let mut software = json!({"kafkaVersion": record.text("KafkaVersion")});
    if let Some(configuration) = record.properties.get("ConfigurationInfo") {
        software["configurationArn"] = configuration["Arn"].clone();
        software["configurationRevision"] =
            json!(scalar(&configuration["Revision"]).and_then(|text| text.parse::<u32>().ok()));
    }
    let mut details = json!({
        "brokerNodeGroupInfo": group,
        "currentBrokerSoftwareInfo": software,
        "numberOfBrokerNodes": brokers,
        "enhancedMonitoring": record.text("EnhancedMonitoring").unwrap_or_else(|| "DEFAULT".into()),
    });
    for (property, member) in [
        ("ClientAuthentication", "clientAuthentication"),
        ("EncryptionInfo", "encryptionInfo"),
        ("LoggingInfo", "loggingInfo"),
        ("OpenMonitoring", "openMonitoring"),
        ("StorageMode", "storageMode"),
    ] {
        if let Some(value) = record.properties.get(property) {
            details[member] = lower_camel(value);
        }
    }
    match version {
        ApiVersion::V1 => {
            if let (Some(into), Value::Object(details)) = (common.as_object_mut(), details) {
                into.extend(details);
            }
        }
        ApiVersion::V2 => {
            common["clusterType"] = "PROVISIONED".into();
            common["provisioned"] = details;
        }
    }
    common
}

/// Converts a template's names to those of the API, and numbers and booleans given as text to their types.
fn lower_camel(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let members = object.iter().map(|(key, value)| {
                let mut chars = key.chars();
                let first = chars.next().map(|c| c.to_ascii_lowercase());
                let key = match key.as_str() {
                    "EBSStorageInfo" => "ebsStorageInfo".to_owned(),
                    _ => first.into_iter().chain(chars).collect(),
                };
                let value = match (key.as_str(), value) {
                    ("volumeSize" | "volumeThroughput", Value::String(text)) => {
                        text.parse::<u32>().map_or(value.clone(), Value::from)
                    }
                    (_, Value::String(text)) if text == "true" || text == "false" => (text == "true").into(),
                    _ => lower_camel(value),
                };
                (key, value)
            });
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(list) => list.iter().map(lower_camel).collect(),
        other => other.clone(),
    }
}
