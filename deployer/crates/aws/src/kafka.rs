//! MSK: clusters, topics, bootstrap brokers.

use crate::error::Result;
use crate::session::Session;

/// A Kafka cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaCluster {
    /// The name, unique in the account and region.
    pub name: String,
    /// The ARN.
    pub arn: String,
    /// The state, such as `ACTIVE`.
    pub state: String,
}

/// Returns the clusters of this name.
///
/// # Errors
/// The request fails.
pub async fn clusters(aws: &Session, name: &str) -> Result<Vec<KafkaCluster>> {
    let request = aws.kafka.list_clusters_v2().cluster_name_filter(name);
    let mut pages = request.into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(cluster) = pages.next().await {
        let cluster = cluster?;
        // The filter is a prefix.
        if cluster.cluster_name() == Some(name) {
            found.push(KafkaCluster {
                name: name.to_owned(),
                arn: cluster.cluster_arn().unwrap_or_default().to_owned(),
                state: cluster.state().map_or("unknown", |state| state.as_str()).to_owned(),
            });
        }
    }
    Ok(found)
}

/// Returns the number of brokers of the account's provisioned clusters in the region.
///
/// # Errors
/// The request fails.
pub async fn broker_count(aws: &Session) -> Result<usize> {
    let pages = aws.kafka.list_clusters_v2().into_paginator().items().send();
    let clusters = pages.collect::<Result<Vec<_>, _>>().await?;
    let provisioned = clusters.iter().filter_map(|cluster| cluster.provisioned());
    let brokers = provisioned.filter_map(|cluster| cluster.number_of_broker_nodes());
    Ok(brokers.filter_map(|brokers| usize::try_from(brokers).ok()).sum())
}

/// Returns the disk size of each broker of a cluster in GiB, which automatic scaling increases; `None` for a cluster without disks.
///
/// # Errors
/// The request fails.
pub async fn broker_storage(aws: &Session, cluster: &str) -> Result<Option<i32>> {
    let response = aws.kafka.describe_cluster_v2().cluster_arn(cluster).send().await?;
    let provisioned = response.cluster_info().and_then(|cluster| cluster.provisioned());
    let storage = provisioned.and_then(|cluster| cluster.broker_node_group_info()?.storage_info());
    Ok(storage.and_then(|storage| storage.ebs_storage_info()?.volume_size()))
}

/// Returns the names of the topics of a cluster.
///
/// # Errors
/// The request fails.
pub async fn topics(aws: &Session, cluster: &str) -> Result<Vec<String>> {
    let request = aws.kafka.list_topics().cluster_arn(cluster);
    let pages = request.into_paginator().items().send();
    let topics = pages.collect::<Result<Vec<_>, _>>().await?;
    let names = topics.iter().filter_map(|topic| topic.topic_name());
    Ok(names.map(str::to_owned).collect())
}

/// Returns the bootstrap brokers of a cluster, for SASL/IAM or without authentication; `None` if it has none.
///
/// # Errors
/// The request fails.
pub async fn bootstrap_brokers(aws: &Session, cluster: &str, iam: bool) -> Result<Option<String>> {
    let request = aws.kafka.get_bootstrap_brokers().cluster_arn(cluster);
    let response = request.send().await?;
    let found = if iam {
        response.bootstrap_broker_string_sasl_iam()
    } else {
        response
            .bootstrap_broker_string()
            .or(response.bootstrap_broker_string_tls())
    };
    Ok(found.filter(|brokers| !brokers.is_empty()).map(str::to_owned))
}
