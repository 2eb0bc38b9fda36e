//! `AWS::MSK::Cluster`, and `AWS::MSK::ServerlessCluster`, which is rejected.

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::model::{self, CLUSTERS};
use super::{cluster_api, lifecycle};
use crate::records::Record;
use crate::{Context, Desired, Failure, Resource, ResourceType, Schema};

pub struct Cluster;

#[async_trait]
impl ResourceType for Cluster {
    fn name(&self) -> &'static str {
        "AWS::MSK::Cluster"
    }

    fn schema(&self) -> Schema {
        Schema {
            properties: &[
                "BrokerNodeGroupInfo",
                "ClientAuthentication",
                "ClusterName",
                "ConfigurationInfo",
                "CurrentVersion",
                "EncryptionInfo",
                "EnhancedMonitoring",
                "KafkaVersion",
                "LoggingInfo",
                "NumberOfBrokerNodes",
                "OpenMonitoring",
                "Rebalancing",
                "StorageMode",
                "Tags",
            ],
            required: &[
                "BrokerNodeGroupInfo",
                "ClusterName",
                "KafkaVersion",
                "NumberOfBrokerNodes",
            ],
            create_only: &[
                "BrokerNodeGroupInfo/BrokerAZDistribution",
                "BrokerNodeGroupInfo/ClientSubnets",
                "BrokerNodeGroupInfo/SecurityGroups",
                "ClusterName",
                "EncryptionInfo/EncryptionAtRest",
                "EncryptionInfo/EncryptionInTransit/InCluster",
            ],
            attributes: &["Arn", "CurrentVersion"],
            write_only: &["CurrentVersion"],
        }
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        Ok(resource(&lifecycle::create(cx, desired).await?))
    }

    async fn update(&self, cx: &Context, id: &str, _previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        let mut record = model::cluster(cx, id)?;
        record.set_desired(desired);
        lifecycle::check(&record)?;
        lifecycle::change(cx, &record).await?;
        Ok(resource(&record))
    }

    async fn delete(&self, cx: &Context, id: &str, _properties: &Value) -> Result<(), Failure> {
        lifecycle::delete(cx, id).await?;
        Ok(cluster_api::forget(cx, id)?)
    }

    /// Returns the tags as a map, unlike most types.
    async fn read(&self, cx: &Context, id: &str) -> Result<Option<Value>, Failure> {
        let Some(record) = CLUSTERS.get(cx, id)? else {
            return Ok(None);
        };
        let mut live = record.properties.clone();
        let own = record.tags.iter().filter(|(key, _)| !record.inherited.contains(key));
        let own: Map<String, Value> = own.map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        if !own.is_empty() {
            live.insert("Tags".into(), own.into());
        }
        Ok(Some(Value::Object(live)))
    }
}

fn resource(record: &Record) -> Resource {
    Resource::new(&record.id)
        .with("Arn", record.id.as_str())
        .with("CurrentVersion", model::VERSION)
}

pub struct Serverless;

#[async_trait]
impl ResourceType for Serverless {
    fn name(&self) -> &'static str {
        "AWS::MSK::ServerlessCluster"
    }

    fn schema(&self) -> Schema {
        Schema {
            properties: &["ClientAuthentication", "ClusterName", "Tags", "VpcConfigs"],
            required: &["ClientAuthentication", "ClusterName", "VpcConfigs"],
            create_only: &["ClientAuthentication", "ClusterName", "VpcConfigs"],
            attributes: &["Arn"],
            write_only: &[],
        }
    }

    async fn create(&self, _cx: &Context, _desired: &Desired) -> Result<Resource, Failure> {
        Err(Failure::new(
            "The embedded endpoint does not support serverless clusters. Use AWS::MSK::Cluster, which supports IAM \
             authentication too.",
        ))
    }

    async fn update(&self, cx: &Context, _: &str, _: &Value, desired: &Desired) -> Result<Resource, Failure> {
        self.create(cx, desired).await
    }

    async fn delete(&self, _cx: &Context, _physical_id: &str, _properties: &Value) -> Result<(), Failure> {
        Ok(())
    }
}
