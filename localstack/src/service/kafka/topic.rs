//! `AWS::MSK::Topic`: topics of the broker.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::broker::server;
use super::model::{self, TOPICS};
use crate::records::{Record, scalar};
use crate::runtime::broker::Client;
use crate::{AwsError, Context, Desired, Failure, KeyedLocks, Resource, ResourceType, Schema};

/// A config that counts brokers, of which there is one here.
const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

pub struct TopicType;

#[async_trait]
impl ResourceType for TopicType {
    fn name(&self) -> &'static str {
        "AWS::MSK::Topic"
    }

    fn schema(&self) -> Schema {
        Schema {
            properties: &[
                "ClusterArn",
                "Configs",
                "PartitionCount",
                "ReplicationFactor",
                "TopicName",
            ],
            required: &["ClusterArn", "PartitionCount", "ReplicationFactor", "TopicName"],
            create_only: &["ClusterArn", "ReplicationFactor", "TopicName"],
            attributes: &["TopicArn"],
            write_only: &[],
        }
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let mut record = Record::new("", desired);
        let name = record.text("TopicName").unwrap_or_default();
        check_name(&name)?;
        let (cluster, client) = client(cx, &record)?;
        let (partitions, configs) = (partitions(&record)?, configs(&record)?);
        if record.text("ReplicationFactor").is_some_and(|factor| factor != "1") {
            tracing::info!(
                topic = name,
                "the topic gets one replica, since the local cluster has one broker"
            );
        }
        record.id = format!("{}/{name}", cluster.replacen(":cluster/", ":topic/", 1));
        let locks = cx.extension::<KeyedLocks<TopicType>>();
        let _guard = locks.lock(&record.id).await;
        if !client.topics(Some(&[&name])).await?.is_empty() {
            return Err(Failure::new(format!("the topic '{name}' already exists")));
        }
        cx.store().transaction(|| -> Result<_, AwsError> {
            TOPICS.put(cx, &record)?;
            Ok(desired.initiated.report(&record.id)?)
        })?;
        if let Err(error) = client.create(&name, partitions, &configs).await {
            TOPICS.delete(cx, &record.id)?;
            return Err(error.into());
        }
        Ok(resource(&record))
    }

    async fn update(&self, cx: &Context, id: &str, _previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        let Some(mut record) = TOPICS.get(cx, id)? else {
            return Err(Failure::new(format!("The topic {id} does not exist")));
        };
        let (old, old_configs) = (partitions(&record)?, configs(&record)?);
        record.set_desired(desired);
        let (new, new_configs) = (partitions(&record)?, configs(&record)?);
        let name = record.text("TopicName").unwrap_or_default();
        let (_, client) = client(cx, &record)?;
        if new < old {
            // The rollback of a raised count fails here too, since Kafka cannot delete partitions.
            let current = client
                .topics(Some(&[&name]))
                .await?
                .first()
                .map_or(0, |topic| topic.partitions);
            return Err(Failure::new(format!(
                "The topic {name} has {current} partitions; Kafka cannot reduce them to {new}"
            )));
        }
        if new > old {
            client.add_partitions(&name, new).await?;
        }
        let mut change: BTreeMap<String, Option<String>> = old_configs
            .into_keys()
            .filter(|key| !new_configs.contains_key(key))
            .map(|key| (key, None))
            .collect();
        change.extend(new_configs.into_iter().map(|(key, value)| (key, Some(value))));
        if !change.is_empty() {
            client.configure(&name, &change).await?;
        }
        TOPICS.put(cx, &record)?;
        Ok(resource(&record))
    }

    async fn delete(&self, cx: &Context, id: &str, _properties: &Value) -> Result<(), Failure> {
        let Some(record) = TOPICS.get(cx, id)? else {
            return Ok(());
        };
        if let Ok((_, client)) = client(cx, &record) {
            client.delete(&record.text("TopicName").unwrap_or_default()).await?;
        }
        TOPICS.delete(cx, id)?;
        Ok(())
    }

    /// Returns the partition count that the broker reports.
    async fn read(&self, cx: &Context, id: &str) -> Result<Option<Value>, Failure> {
        let Some(record) = TOPICS.get(cx, id)? else {
            return Ok(None);
        };
        let (_, client) = client(cx, &record)?;
        let name = record.text("TopicName").unwrap_or_default();
        let Some(topic) = client.topics(Some(&[&name])).await?.into_iter().next() else {
            return Ok(None);
        };
        let mut live = record.template_properties();
        live["PartitionCount"] = json!(topic.partitions);
        Ok(Some(live))
    }
}

fn resource(record: &Record) -> Resource {
    Resource::new(&record.id).with("TopicArn", record.id.as_str())
}

/// Returns the ARN of the topic's cluster and a client of its broker.
fn client(cx: &Context, record: &Record) -> Result<(String, Client), AwsError> {
    let cluster = model::cluster(cx, &record.text("ClusterArn").unwrap_or_default())?;
    let client = server(cx, &cluster)?.client();
    Ok((cluster.id, client))
}

/// Checks Kafka's rule for topic names.
fn check_name(name: &str) -> Result<(), Failure> {
    let is_valid = (1..=249).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && !matches!(name, "." | "..");
    if is_valid {
        return Ok(());
    }
    Err(Failure::new(format!(
        "The topic name '{name}' is not valid. Use 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-'."
    )))
}

fn partitions(record: &Record) -> Result<i32, Failure> {
    let count = record
        .text("PartitionCount")
        .and_then(|count| count.parse().ok())
        .filter(|count| *count > 0);
    count.ok_or_else(|| Failure::new("PartitionCount must be an integer of at least 1"))
}

/// Decodes `Configs`: base64 of lines `key=value`, or of a JSON object.
fn configs(record: &Record) -> Result<BTreeMap<String, String>, Failure> {
    let Some(encoded) = record.text("Configs") else {
        return Ok(BTreeMap::new());
    };
    let bytes = STANDARD.decode(encoded.trim());
    let decoded = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or_else(|| Failure::new("Configs must be base64 text"))?;
    let mut configs = BTreeMap::new();
    if let Ok(Value::Object(object)) = serde_json::from_str(&decoded) {
        configs.extend(
            object
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), scalar(value)?))),
        );
    } else {
        for line in decoded
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let pair = line.split_once('=');
            let (key, value) = pair.ok_or_else(|| Failure::new(format!("Configs has a line without '=': {line}")))?;
            configs.insert(key.trim().to_owned(), value.trim().to_owned());
        }
    }
    if let Some(count) = configs.get_mut(MIN_INSYNC_REPLICAS) {
        *count = "1".into();
    }
    Ok(configs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_are_lines_or_json_with_at_most_one_in_sync_replica() {
        let read = |text: &str| {
            let record = Record::from_properties("t", json!({"Configs": STANDARD.encode(text)}));
            configs(&record).map(|configs| configs.into_iter().collect::<Vec<_>>())
        };
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            read("retention.ms=5\nmin.insync.replicas = 2\n").unwrap(),
            [pair("min.insync.replicas", "1"), pair("retention.ms", "5")]
        );
        assert_eq!(read(r#"{"retention.ms": 5}"#).unwrap(), [pair("retention.ms", "5")]);
        assert!(read("nonsense").is_err());
    }
}
