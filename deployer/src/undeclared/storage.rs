//! Repositories, log groups and topics under our names.

use super::{Owned, Undeclared};
use crate::error::Result;
use crate::target::Aws;

pub async fn repositories(aws: &Aws, owned: &Owned, prefix: &str) -> Result<Vec<Undeclared>> {
    let all = aws.ecr.describe_repositories().into_paginator().items().send();
    let all = all.collect::<Result<Vec<_>, _>>().await?;
    let ours = all.iter().filter_map(|found| found.repository_name());
    let ours = ours.filter(|name| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/')));
    let found = ours.filter(|name| !owned.has(name)).map(|name| Undeclared {
        kind: "AWS::ECR::Repository",
        id: name.to_owned(),
        what: "a repository under this environment's name".into(),
    });
    Ok(found.collect())
}

pub async fn log_groups(aws: &Aws, owned: &Owned, prefix: &str) -> Result<Vec<Undeclared>> {
    let request = aws
        .logs
        .describe_log_groups()
        .log_group_name_prefix(format!("/ecs/{prefix}/"));
    let all = request
        .into_paginator()
        .items()
        .send()
        .collect::<Result<Vec<_>, _>>()
        .await?;
    let names = all.iter().filter_map(|group| group.log_group_name());
    let found = names.filter(|name| !owned.has(name)).map(|name| Undeclared {
        kind: "AWS::Logs::LogGroup",
        id: name.to_owned(),
        what: "a log group under this environment's name".into(),
    });
    Ok(found.collect())
}

/// Topics whose names begin with two underscores are Kafka's own.
pub async fn topics(aws: &Aws, owned: &Owned) -> Result<Vec<Undeclared>> {
    let declared: Vec<&str> = owned
        .declared("AWS::MSK::Topic")
        .filter_map(|(properties, _)| properties["TopicName"].as_str())
        .collect();
    let mut found = Vec::new();
    for cluster in owned.all("AWS::MSK::Cluster") {
        let all = aws
            .kafka
            .list_topics()
            .cluster_arn(cluster)
            .into_paginator()
            .items()
            .send();
        let all = all.collect::<Result<Vec<_>, _>>().await?;
        let names = all.iter().filter_map(|topic| topic.topic_name());
        let by_hand = names.filter(|name| !name.starts_with("__") && !declared.contains(name));
        found.extend(by_hand.map(|name| Undeclared {
            kind: "AWS::MSK::Topic",
            id: name.to_owned(),
            what: format!("a topic in {cluster}"),
        }));
    }
    Ok(found)
}
