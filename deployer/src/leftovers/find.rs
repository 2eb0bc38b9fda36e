//! Looks for leftovers with the clients that deployer has; a service that does not answer is named, and no reason to stop.

use aws_sdk_ec2::types::Filter;
use aws_sdk_ecs::types::TaskDefinitionStatus;

use super::{Kind, Leftover, Scope, Seen, interfaces};
use crate::cloudformation::handover;
use crate::error::{Error, Result};
use crate::target::Aws;
use crate::target::capabilities::Capability;

impl Seen {
    fn take(&mut self, what: &str, found: Result<Vec<Leftover>>) {
        match found {
            Ok(found) => self.found.extend(found),
            Err(error) => self.unseen.push(format!("{what} ({error})")),
        }
    }
}

fn leftover(kind: Kind, name: &str, note: Option<String>) -> Leftover {
    Leftover {
        kind,
        name: name.to_owned(),
        note,
    }
}

/// What may be deleted without asking for more than the environment: logs, revisions of our families, our parameters.
pub async fn sweepable(aws: &Aws, scope: &Scope) -> Seen {
    let (groups, revisions, parameters, templates) = tokio::join!(
        log_groups(aws, scope),
        task_definitions(aws, scope),
        parameters(aws, scope),
        templates(aws, scope)
    );
    let mut seen = Seen::default();
    seen.take("log groups", groups);
    seen.take("task definitions", revisions);
    seen.take("SSM parameters", parameters);
    seen.take("the bucket for templates", templates);
    seen
}

/// Everything that is still there.
pub async fn look(aws: &Aws, scope: &Scope) -> Seen {
    let (mut seen, networks, addresses, repositories, clusters, brokers) = tokio::join!(
        sweepable(aws, scope),
        networks(aws, scope),
        addresses(aws, scope),
        repositories(aws, scope),
        clusters(aws, scope),
        kafka(aws, scope)
    );
    // The lock is held while this is asked, and goes with the command.
    let lock = format!("{}lock", scope.parameters());
    seen.found.retain(|one| one.name != lock);
    seen.take("VPCs", networks);
    seen.take("public addresses", addresses);
    seen.take("image repositories", repositories);
    seen.take("ECS clusters", clusters);
    seen.take("Kafka clusters", brokers);
    seen
}

async fn log_groups(aws: &Aws, scope: &Scope) -> Result<Vec<Leftover>> {
    let mut found = Vec::new();
    for prefix in &scope.log_groups {
        let request = aws.logs.describe_log_groups().log_group_name_prefix(prefix);
        let mut pages = request.into_paginator().items().send();
        while let Some(group) = pages.next().await {
            let group = group?;
            let kept = match group.retention_in_days() {
                Some(days) => format!("its last {days} days"),
                None => "it never expires".to_owned(),
            };
            found.push(leftover(
                Kind::LogGroup,
                group.log_group_name().unwrap_or_default(),
                Some(kept),
            ));
        }
    }
    Ok(found)
}

/// Revisions that `up --code` registered past CloudFormation, or that a failed deletion left.
async fn task_definitions(aws: &Aws, scope: &Scope) -> Result<Vec<Leftover>> {
    let mut found = Vec::new();
    for family in &scope.families {
        let request = aws.ecs.list_task_definitions().family_prefix(family);
        let mut pages = request
            .status(TaskDefinitionStatus::Active)
            .into_paginator()
            .items()
            .send();
        while let Some(arn) = pages.next().await {
            found.push(leftover(Kind::TaskDefinition, &arn?, None));
        }
    }
    Ok(found)
}

async fn parameters(aws: &Aws, scope: &Scope) -> Result<Vec<Leftover>> {
    let path = scope.parameters();
    let request = aws
        .ssm
        .get_parameters_by_path()
        .path(path.trim_end_matches('/'))
        .recursive(true);
    let mut pages = request.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page?;
        let names = page.parameters().iter().filter_map(|parameter| parameter.name());
        let others = names.filter(|name| *name != format!("{path}lock"));
        found.extend(others.map(|name| leftover(Kind::Parameter, name, None)));
    }
    Ok(found)
}

/// Templates of ours that are still in the account's bucket, and the bucket itself where it holds nobody else's.
async fn templates(aws: &Aws, scope: &Scope) -> Result<Vec<Leftover>> {
    if aws.endpoint.lacks(Capability::LargeTemplates) {
        return Ok(Vec::new());
    }
    let bucket = handover::bucket(aws).await?;
    let keys = match handover::stored(aws, &bucket).await {
        Ok(Some(keys)) => keys,
        Ok(None) | Err(Error::Unsupported { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let begin = format!("{}/", scope.prefix);
    let (ours, others): (Vec<&String>, Vec<&String>) = keys.iter().partition(|key| key.starts_with(&begin));
    let mut found: Vec<Leftover> = ours
        .iter()
        .map(|key| leftover(Kind::Template, &format!("{}/{key}", bucket.name), None))
        .collect();
    if others.is_empty() {
        found.push(leftover(Kind::TemplateBucket, &bucket.name, None));
    }
    Ok(found)
}

fn ours(scope: &Scope) -> [Filter; 2] {
    let tag = |key: &str, value: &str| Filter::builder().name(format!("tag:{key}")).values(value).build();
    [tag("project", &scope.project), tag("environment", &scope.environment)]
}

/// Networks of ours, and what holds them.
async fn networks(aws: &Aws, scope: &Scope) -> Result<Vec<Leftover>> {
    let answer = aws
        .ec2
        .describe_vpcs()
        .set_filters(Some(ours(scope).into()))
        .send()
        .await?;
    let mut found = Vec::new();
    for vpc in answer.vpcs().iter().filter_map(|vpc| vpc.vpc_id()) {
        found.push(leftover(Kind::Vpc, vpc, None));
        for (id, use_) in interfaces::all(aws, vpc).await? {
            found.push(leftover(Kind::NetworkInterface, &id, Some(format!("in {vpc}, {use_}"))));
        }
    }
    Ok(found)
}

async fn addresses(aws: &Aws, scope: &Scope) -> Result<Vec<Leftover>> {
    let answer = aws
        .ec2
        .describe_addresses()
        .set_filters(Some(ours(scope).into()))
        .send()
        .await?;
    let told = answer.addresses().iter().map(|address| {
        let name = address.public_ip().or(address.allocation_id()).unwrap_or_default();
        leftover(Kind::Address, name, Some("it is paid for by the hour".to_owned()))
    });
    Ok(told.collect())
}

async fn repositories(aws: &Aws, scope: &Scope) -> Result<Vec<Leftover>> {
    let mut pages = aws.ecr.describe_repositories().into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(repository) = pages.next().await {
        let repository = repository?;
        let name = repository.repository_name().unwrap_or_default();
        if name.starts_with(&format!("{}/", scope.prefix)) {
            found.push(leftover(Kind::Repository, name, None));
        }
    }
    Ok(found)
}

async fn clusters(aws: &Aws, scope: &Scope) -> Result<Vec<Leftover>> {
    let answer = match aws
        .ecs
        .describe_clusters()
        .clusters(&scope.prefix)
        .send()
        .await
        .map_err(Error::from)
    {
        Ok(answer) => answer,
        Err(error) if error.is_missing() || error.code() == "ClusterNotFoundException" => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let alive = answer
        .clusters()
        .iter()
        .filter(|cluster| cluster.status() != Some("INACTIVE"));
    Ok(alive
        .map(|cluster| leftover(Kind::Cluster, cluster.cluster_name().unwrap_or_default(), None))
        .collect())
}

async fn kafka(aws: &Aws, scope: &Scope) -> Result<Vec<Leftover>> {
    let mut pages = aws
        .kafka
        .list_clusters_v2()
        .cluster_name_filter(&scope.prefix)
        .into_paginator()
        .items()
        .send();
    let mut found = Vec::new();
    while let Some(cluster) = pages.next().await {
        let cluster = cluster?;
        let going = cluster.state().is_some_and(|state| state.as_str() == "DELETING");
        // The filter is a prefix.
        if cluster.cluster_name() == Some(scope.prefix.as_str()) && !going {
            let note = Some("its brokers are paid for by the hour".to_owned());
            found.push(leftover(
                Kind::KafkaCluster,
                cluster.cluster_arn().unwrap_or_default(),
                note,
            ));
        }
    }
    Ok(found)
}
