//! The search for orphaned resources. A service that cannot be listed is reported, and does not end the search.

use aws::cloudformation::{stored_templates, template_bucket};
use aws::{Capability, Error, Result, Session, ec2, ecr, ecs, kafka, logs, ssm};

use super::{OrphanKind, OrphanScan, OrphanedResource, Scope};

impl OrphanScan {
    fn add(&mut self, what: &str, found: Result<Vec<OrphanedResource>>) {
        match found {
            Ok(found) => self.found.extend(found),
            Err(error) => self.unlisted.push(format!("{what} ({error})")),
        }
    }
}

fn orphan(kind: OrphanKind, name: &str, note: Option<String>) -> OrphanedResource {
    OrphanedResource {
        kind,
        name: name.to_owned(),
        note,
    }
}

/// Returns the orphaned resources that only this environment can own: log groups, task definitions, SSM parameters, templates.
pub async fn deletable(aws: &Session, scope: &Scope) -> OrphanScan {
    let (groups, revisions, parameters, templates) = tokio::join!(
        log_groups(aws, scope),
        task_definitions(aws, scope),
        parameters(aws, scope),
        templates(aws, scope)
    );
    let mut scan = OrphanScan::default();
    scan.add("log groups", groups);
    scan.add("task definitions", revisions);
    scan.add("SSM parameters", parameters);
    scan.add("the template bucket", templates);
    scan
}

/// Returns every orphaned resource of the environment.
pub async fn scan(aws: &Session, scope: &Scope) -> OrphanScan {
    let (mut scan, networks, addresses, repositories, clusters, brokers) = tokio::join!(
        deletable(aws, scope),
        networks(aws, scope),
        addresses(aws, scope),
        repositories(aws, scope),
        clusters(aws, scope),
        kafka_clusters(aws, scope)
    );
    // The lock is released at the end of the command.
    let lock = format!("{}lock", scope.parameter_prefix());
    scan.found.retain(|one| one.name != lock);
    scan.add("VPCs", networks);
    scan.add("public addresses", addresses);
    scan.add("image repositories", repositories);
    scan.add("ECS clusters", clusters);
    scan.add("Kafka clusters", brokers);
    scan
}

async fn log_groups(aws: &Session, scope: &Scope) -> Result<Vec<OrphanedResource>> {
    let mut found = Vec::new();
    for prefix in &scope.log_groups {
        for group in logs::groups(aws, prefix).await? {
            let retention = match group.retention_days {
                Some(days) => format!("retention {days} days"),
                None => "it never expires".to_owned(),
            };
            found.push(orphan(OrphanKind::LogGroup, &group.name, Some(retention)));
        }
    }
    Ok(found)
}

/// Returns revisions that `up --code` registered without CloudFormation, or that a failed deletion did not deregister.
async fn task_definitions(aws: &Session, scope: &Scope) -> Result<Vec<OrphanedResource>> {
    let mut found = Vec::new();
    for family in &scope.families {
        let revisions = ecs::task_definitions(aws, family).await?;
        found.extend(
            revisions
                .iter()
                .map(|arn| orphan(OrphanKind::TaskDefinition, arn, None)),
        );
    }
    Ok(found)
}

async fn parameters(aws: &Session, scope: &Scope) -> Result<Vec<OrphanedResource>> {
    let path = scope.parameter_prefix();
    let lock = format!("{path}lock");
    let names = ssm::names(aws, path.trim_end_matches('/')).await?;
    let others = names.iter().filter(|name| **name != lock);
    Ok(others.map(|name| orphan(OrphanKind::Parameter, name, None)).collect())
}

/// Returns the environment's templates in the account's bucket, and the bucket itself if it contains no others.
async fn templates(aws: &Session, scope: &Scope) -> Result<Vec<OrphanedResource>> {
    if aws.endpoint().lacks(Capability::LargeTemplates) {
        return Ok(Vec::new());
    }
    let bucket = template_bucket(aws).await?;
    let keys = match stored_templates(aws, &bucket).await {
        Ok(Some(keys)) => keys,
        Ok(None) | Err(Error::Unsupported { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let prefix = format!("{}/", scope.prefix);
    let (own, others): (Vec<&String>, Vec<&String>) = keys.iter().partition(|key| key.starts_with(&prefix));
    let mut found: Vec<OrphanedResource> = own
        .iter()
        .map(|key| orphan(OrphanKind::Template, &format!("{}/{key}", bucket.name), None))
        .collect();
    if others.is_empty() {
        found.push(orphan(OrphanKind::TemplateBucket, &bucket.name, None));
    }
    Ok(found)
}

fn tags(scope: &Scope) -> [(&str, &str); 2] {
    [("project", &scope.project), ("environment", &scope.environment)]
}

/// Returns the environment's VPCs, and the network interfaces in them.
async fn networks(aws: &Session, scope: &Scope) -> Result<Vec<OrphanedResource>> {
    let mut found = Vec::new();
    for vpc in ec2::vpcs(aws, &tags(scope)).await? {
        found.push(orphan(OrphanKind::Vpc, &vpc, None));
        for interface in ec2::network_interfaces(aws, &vpc).await? {
            let note = format!("in {vpc}, {}: {}", interface.status, interface.description);
            found.push(orphan(OrphanKind::NetworkInterface, &interface.id, Some(note)));
        }
    }
    Ok(found)
}

async fn addresses(aws: &Session, scope: &Scope) -> Result<Vec<OrphanedResource>> {
    let addresses = ec2::addresses(aws, &tags(scope)).await?;
    let note = || Some("AWS charges for it by the hour".to_owned());
    let found = addresses.iter().map(|name| orphan(OrphanKind::Address, name, note()));
    Ok(found.collect())
}

async fn repositories(aws: &Session, scope: &Scope) -> Result<Vec<OrphanedResource>> {
    let prefix = format!("{}/", scope.prefix);
    let names = ecr::repositories(aws).await?;
    let own = names.iter().filter(|name| name.starts_with(&prefix));
    Ok(own.map(|name| orphan(OrphanKind::Repository, name, None)).collect())
}

async fn clusters(aws: &Session, scope: &Scope) -> Result<Vec<OrphanedResource>> {
    let names = ecs::existing_clusters(aws, &scope.prefix).await?;
    let found = names.iter().map(|name| orphan(OrphanKind::Cluster, name, None));
    Ok(found.collect())
}

async fn kafka_clusters(aws: &Session, scope: &Scope) -> Result<Vec<OrphanedResource>> {
    let clusters = kafka::clusters(aws, &scope.prefix).await?;
    let existing = clusters.iter().filter(|cluster| cluster.state != "DELETING");
    let note = || Some("AWS charges for its brokers by the hour".to_owned());
    let found = existing.map(|cluster| orphan(OrphanKind::KafkaCluster, &cluster.arn, note()));
    Ok(found.collect())
}
