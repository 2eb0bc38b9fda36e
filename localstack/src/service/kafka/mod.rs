//! Amazon MSK: a cluster is one Kafka-protocol broker on loopback.

mod api;
mod broker;
mod cluster;
mod cluster_api;
mod cluster_policy;
mod configuration;
mod describe;
#[cfg(test)]
mod iam_tests;
mod lifecycle;
mod model;
mod sasl_proxy;
mod supervisor;
#[cfg(test)]
mod tests;
mod token;
mod topic;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use describe::ApiVersion;

use crate::records::record_type;
use crate::service::supervisor::stop_all;
use crate::{AwsError, Call, Context, ResourceType, Service};

pub fn service() -> Arc<dyn Service> {
    Arc::new(Kafka)
}

struct Kafka;

#[async_trait]
impl Service for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![
            Arc::new(cluster::Cluster),
            Arc::new(cluster::Serverless),
            Arc::new(topic::TopicType),
            record_type::<configuration::Configuration>(),
            record_type::<cluster_policy::ClusterPolicy>(),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "ListClusters" => describe::clusters(cx, &call, ApiVersion::V1),
            "ListClustersV2" => describe::clusters(cx, &call, ApiVersion::V2),
            "DescribeCluster" => describe::cluster(cx, &call, ApiVersion::V1),
            "DescribeClusterV2" => describe::cluster(cx, &call, ApiVersion::V2),
            "GetBootstrapBrokers" => describe::bootstrap(cx, &call),
            "ListNodes" => describe::nodes(cx, &call),
            "ListTopics" => describe::topics(cx, &call).await,
            "DescribeTopic" => describe::topic(cx, &call).await,
            "ListConfigurations" => describe::configurations(cx),
            "ListTagsForResource" => describe::tags(cx, &call),
            "CreateConfiguration" => api::create_configuration(cx, &call).await,
            "DescribeConfiguration" => api::describe_configuration(cx, &call),
            "DescribeConfigurationRevision" => api::describe_revision(cx, &call),
            "UpdateConfiguration" => api::update_configuration(cx, &call).await,
            "DeleteConfiguration" => api::delete_configuration(cx, &call).await,
            "ListKafkaVersions" => Ok(api::versions()),
            "CreateCluster" | "CreateClusterV2" => cluster_api::create(cx, &call).await,
            "DeleteCluster" => cluster_api::delete(cx, &call).await,
            "GetClusterPolicy" => cluster_api::policy(cx, &call),
            "PutClusterPolicy" => cluster_api::put_policy(cx, &call).await,
            "DeleteClusterPolicy" => cluster_api::delete_policy(cx, &call).await,
            "UpdateBrokerCount"
            | "UpdateBrokerType"
            | "UpdateBrokerStorage"
            | "UpdateClusterConfiguration"
            | "UpdateClusterKafkaVersion"
            | "UpdateSecurity"
            | "UpdateMonitoring" => cluster_api::update(cx, &call).await,
            "DescribeClusterOperation" => cluster_api::operation(cx, &call),
            "ListClusterOperations" => cluster_api::operations(cx, &call),
            "TagResource" => api::tag(cx, &call),
            "UntagResource" => api::untag(cx, &call),
            other => Err(AwsError::not_implemented("kafka", other)),
        }
    }

    async fn start(&self, cx: &Context) -> anyhow::Result<()> {
        supervisor::recover(cx).await
    }

    async fn stop(&self, cx: &Context) {
        stop_all::<model::Clusters>(cx).await;
    }
}
