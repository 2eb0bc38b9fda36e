//! Amazon MSK: a cluster is a Kafka-protocol broker on loopback.

mod access;
mod cluster;
mod describe;
#[cfg(test)]
mod iam_tests;
mod lifecycle;
mod records;
#[cfg(test)]
mod tests;
mod token;
mod topic;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::records::record_type;
use crate::{AwsError, Call, Context, ResourceType, Route, Service};

pub fn service() -> Arc<dyn Service> {
    Arc::new(Kafka)
}

struct Kafka;

const ROUTES: &[Route] = &[
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
            record_type::<records::Configuration>(),
            record_type::<records::ClusterPolicy>(),
        ]
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "ListClusters" => describe::clusters(cx, &call, describe::Shape::First),
            "ListClustersV2" => describe::clusters(cx, &call, describe::Shape::Second),
            "DescribeCluster" => describe::cluster(cx, &call, describe::Shape::First),
            "DescribeClusterV2" => describe::cluster(cx, &call, describe::Shape::Second),
            "GetBootstrapBrokers" => describe::bootstrap(cx, &call),
            "ListNodes" => describe::nodes(cx, &call),
            "ListTopics" => describe::topics(cx, &call).await,
            "DescribeTopic" => describe::topic(cx, &call).await,
            "ListConfigurations" => describe::configurations(cx),
            "ListTagsForResource" => describe::tags(cx, &call),
            other => Err(AwsError::not_implemented("kafka", other)),
        }
    }

    async fn start(&self, cx: &Context) -> anyhow::Result<()> {
        lifecycle::resume(cx).await
    }

    async fn stop(&self, cx: &Context) {
        lifecycle::suspend(cx).await;
    }
}
