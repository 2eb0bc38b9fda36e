//! Repositories, log groups and topics under the environment's names.

use aws::{Result, Session, ecr, kafka, logs};

use super::{Owned, UnmanagedResource};

/// Returns the unmanaged repositories.
pub async fn repositories(aws: &Session, owned: &Owned, prefix: &str) -> Result<Vec<UnmanagedResource>> {
    let all = ecr::repositories(aws).await?.into_iter();
    let own = all.filter(|name| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/')));
    let found = own.filter(|name| !owned.has(name)).map(|name| UnmanagedResource {
        resource_type: "AWS::ECR::Repository",
        id: name,
        description: "a repository under this environment's name".into(),
    });
    Ok(found.collect())
}

/// Returns the unmanaged log groups.
pub async fn log_groups(aws: &Session, owned: &Owned, prefix: &str) -> Result<Vec<UnmanagedResource>> {
    let all = logs::groups(aws, &format!("/ecs/{prefix}/")).await?.into_iter();
    let unmanaged = all.filter(|group| !owned.has(&group.name));
    let found = unmanaged.map(|group| UnmanagedResource {
        resource_type: "AWS::Logs::LogGroup",
        id: group.name,
        description: "a log group under this environment's name".into(),
    });
    Ok(found.collect())
}

/// Returns the unmanaged topics. Names that begin with two underscores are Kafka's internal topics.
pub async fn topics(aws: &Session, owned: &Owned) -> Result<Vec<UnmanagedResource>> {
    let declared: Vec<&str> = owned
        .declared("AWS::MSK::Topic")
        .filter_map(|(properties, _)| properties["TopicName"].as_str())
        .collect();
    let mut found = Vec::new();
    for cluster in owned.all("AWS::MSK::Cluster") {
        let topics = kafka::topics(aws, cluster).await?.into_iter();
        let unmanaged = topics.filter(|name| !name.starts_with("__") && !declared.contains(&name.as_str()));
        found.extend(unmanaged.map(|name| UnmanagedResource {
            resource_type: "AWS::MSK::Topic",
            id: name,
            description: format!("a topic in {cluster}"),
        }));
    }
    Ok(found)
}
