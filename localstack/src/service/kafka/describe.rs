//! What MSK shows; its members are lowerCamel on the wire.

use serde_json::{Map, Value, json};

use super::lifecycle::{self, CLUSTERS, STATE};
use super::records::{Configuration, revision};
use crate::records::{Record, RecordType, iso, page};
use crate::{AwsError, Call, Context};

/// The two generations of the API show a cluster in two ways.
#[derive(Clone, Copy, PartialEq)]
pub enum Shape {
    First,
    Second,
}

pub fn clusters(cx: &Context, call: &Call, shape: Shape) -> Result<Value, AwsError> {
    let prefix = call.text("clusterNameFilter").unwrap_or_default();
    let mut found = CLUSTERS.list(cx)?;
    found.retain(|record| record.text("ClusterName").unwrap_or_default().starts_with(&prefix));
    let limit = call.integer("maxResults").unwrap_or(100).clamp(1, 100) as usize;
    let (found, next) = page(found, limit, call.text("nextToken").as_deref())?;
    let shown: Vec<Value> = found.iter().map(|record| show(record, shape)).collect();
    let mut answer = json!({"clusterInfoList": shown});
    if let Some(next) = next {
        answer["nextToken"] = next.into();
    }
    Ok(answer)
}

pub fn cluster(cx: &Context, call: &Call, shape: Shape) -> Result<Value, AwsError> {
    Ok(json!({"clusterInfo": show(&asked(cx, call)?, shape)}))
}

/// The addresses of the listeners that there are, each under the name of its kind.
pub fn bootstrap(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let server = lifecycle::server(cx, &asked(cx, call)?)?;
    let (address, listeners) = (server.settings.address, server.settings.listeners);
    let mut answer = json!({});
    if listeners.plaintext_advertised {
        answer["bootstrapBrokerString"] = format!("{address}:{}", listeners.plaintext).into();
    }
    if let Some(proxied) = server.proxied_listener() {
        answer["bootstrapBrokerStringSaslIam"] = format!("{address}:{}", proxied.advertised).into();
    }
    Ok(answer)
}

pub fn nodes(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = asked(cx, call)?;
    let address = lifecycle::server(cx, &record)?.settings.address.to_string();
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
    let record = asked(cx, call)?;
    let prefix = call.text("topicNameFilter").unwrap_or_default();
    let found = lifecycle::server(cx, &record)?.client().topics(None).await?;
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
    let record = asked(cx, call)?;
    let name = call.required("topicName")?;
    let found = lifecycle::server(cx, &record)?.client().topics(Some(&[&name])).await?;
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
        .map(|record| {
            json!({
                "arn": record.id,
                "name": record.text("Name"),
                "description": record.text("Description").unwrap_or_default(),
                "creationTime": iso(record.created),
                "state": "ACTIVE",
                "kafkaVersions": [],
                "latestRevision": {"creationTime": iso(record.created), "revision": revision(record)},
            })
        })
        .collect();
    Ok(json!({"configurations": shown}))
}

pub fn tags(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let record = lifecycle::find(cx, &call.required("resourceArn")?)?;
    Ok(json!({"tags": record.tags}))
}

fn asked(cx: &Context, call: &Call) -> Result<Record, AwsError> {
    lifecycle::find(cx, &call.required("clusterArn")?)
}

fn topic_arn(cluster: &Record, name: &str) -> String {
    format!("{}/{name}", cluster.id.replacen(":cluster/", ":topic/", 1))
}

fn show(record: &Record, shape: Shape) -> Value {
    let mut common = json!({
        "clusterArn": record.id,
        "clusterName": record.text("ClusterName"),
        "creationTime": iso(record.created),
        "currentVersion": lifecycle::VERSION,
        "state": record.computed(STATE),
        "tags": record.tags,
    });
    let brokers: u32 = record
        .text("NumberOfBrokerNodes")
        .and_then(|n| n.parse().ok())
        .unwrap_or(1);
    let group = record
        .properties
        .get("BrokerNodeGroupInfo")
        .map(lower_camel)
        .unwrap_or_else(|| json!({}));
    let details = json!({
        "brokerNodeGroupInfo": group,
        "currentBrokerSoftwareInfo": {"kafkaVersion": record.text("KafkaVersion")},
        "numberOfBrokerNodes": brokers,
        "enhancedMonitoring": record.text("EnhancedMonitoring").unwrap_or_else(|| "DEFAULT".into()),
    });
    match shape {
        Shape::First => {
            if let (Some(into), Value::Object(details)) = (common.as_object_mut(), details) {
                into.extend(details);
            }
        }
        Shape::Second => {
            common["clusterType"] = "PROVISIONED".into();
            common["provisioned"] = details;
        }
    }
    common
}

/// A template's names as the API writes them; numbers that came as text become numbers.
fn lower_camel(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let members = object.iter().map(|(key, value)| {
                let mut letters = key.chars();
                let first = letters.next().map(|c| c.to_ascii_lowercase());
                let key = match key.as_str() {
                    "EBSStorageInfo" => "ebsStorageInfo".to_owned(),
                    _ => first.into_iter().chain(letters).collect(),
                };
                let value = match (key.as_str(), value) {
                    ("volumeSize", Value::String(text)) => text.parse::<u32>().map_or(value.clone(), Value::from),
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
