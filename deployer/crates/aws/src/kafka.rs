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
