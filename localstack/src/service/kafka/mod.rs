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
use crate::{AwsError, Call, Context, ResourceType, Route, Service};

pub fn service() -> Arc<dyn Service> {
    Arc::new(Kafka)
}

struct Kafka;

const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/v1/clusters",
        operation: "CreateCluster",
    },
    Route {
        method: "POST",
        path: "/api/v2/clusters",
        operation: "CreateClusterV2",
    },
    Route {
        method: "DELETE",
        path: "/v1/clusters/{clusterArn}",
        operation: "DeleteCluster",
    },
    Route {
        method: "GET",
        path: "/v1/clusters/{clusterArn}/policy",
        operation: "GetClusterPolicy",
    },
    Route {
        method: "PUT",
        path: "/v1/clusters/{clusterArn}/policy",
        operation: "PutClusterPolicy",
    },
    Route {
        method: "DELETE",
        path: "/v1/clusters/{clusterArn}/policy",
        operation: "DeleteClusterPolicy",
    },
    Route {
        method: "PUT",
        path: "/v1/clusters/{clusterArn}/nodes/count",
        operation: "UpdateBrokerCount",
    },
    Route {
        method: "PUT",
        path: "/v1/clusters/{clusterArn}/nodes/type",
        operation: "UpdateBrokerType",
    },
    Route {
        method: "PUT",
        path: "/v1/clusters/{clusterArn}/nodes/storage",
        operation: "UpdateBrokerStorage",
    },
    Route {
        method: "PUT",
        path: "/v1/clusters/{clusterArn}/configuration",
        operation: "UpdateClusterConfiguration",
    },
    Route {
        method: "PUT",
        path: "/v1/clusters/{clusterArn}/version",
        operation: "UpdateClusterKafkaVersion",
    },
    Route {
        method: "PATCH",
        path: "/v1/clusters/{clusterArn}/security",
        operation: "UpdateSecurity",
    },
    Route {
        method: "PUT",
        path: "/v1/clusters/{clusterArn}/monitoring",
        operation: "UpdateMonitoring",
    },
    Route {
        method: "GET",
        path: "/v1/operations/{clusterOperationArn}",
        operation: "DescribeClusterOperation",
    },
    Route {
        method: "GET",
        path: "/v1/clusters/{clusterArn}/operations",
        operation: "ListClusterOperations",
    },
    Route {
        method: "GET",
        path: "/v1/clusters",
        operation: "ListClusters",
    },
    Route {
        method: "GET",
        path: "/api/v2/clusters",
        operation: "ListClustersV2",
    },
    Route {
        method: "GET",
        path: "/v1/clusters/{clusterArn}",
        operation: "DescribeCluster",
    },
    Route {
        method: "GET",
        path: "/api/v2/clusters/{clusterArn}",
        operation: "DescribeClusterV2",
    },
    Route {
        method: "GET",
        path: "/v1/clusters/{clusterArn}/bootstrap-brokers",
        operation: "GetBootstrapBrokers",
    },
    Route {
        method: "GET",
        path: "/v1/clusters/{clusterArn}/nodes",
        operation: "ListNodes",
    },
    Route {
        method: "GET",
        path: "/v1/clusters/{clusterArn}/topics",
        operation: "ListTopics",
    },
    Route {
        method: "GET",
        path: "/v1/clusters/{clusterArn}/topics/{topicName}",
        operation: "DescribeTopic",
    },
    Route {
        method: "GET",
        path: "/v1/configurations",
        operation: "ListConfigurations",
    },
    Route {
        method: "GET",
        path: "/v1/tags/{resourceArn}",
        operation: "ListTagsForResource",
    },
    Route {
        method: "POST",
        path: "/v1/configurations",
        operation: "CreateConfiguration",
    },
    Route {
        method: "GET",
        path: "/v1/configurations/{arn}",
        operation: "DescribeConfiguration",
    },
    Route {
        method: "PUT",
        path: "/v1/configurations/{arn}",
        operation: "UpdateConfiguration",
    },
    Route {
        method: "DELETE",
        path: "/v1/configurations/{arn}",
        operation: "DeleteConfiguration",
    },
    Route {
        method: "GET",
        path: "/v1/configurations/{arn}/revisions/{revision}",
        operation: "DescribeConfigurationRevision",
    },
    Route {
        method: "GET",
        path: "/v1/kafka-versions",
        operation: "ListKafkaVersions",
    },
    Route {
        method: "POST",
        path: "/v1/tags/{resourceArn}",
        operation: "TagResource",
    },
    Route {
        method: "DELETE",
        path: "/v1/tags/{resourceArn}",
        operation: "UntagResource",
    },
];

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

    fn routes(&self) -> &'static [Route] {
        ROUTES
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
