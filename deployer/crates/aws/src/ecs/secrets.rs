//! Secrets whose value changed after the tasks that use them started.
//!
//! ECS reads a secret when it starts a task, and a running task keeps that value (Amazon ECS Developer Guide: Pass Secrets Manager
//! secrets through environment variables).

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecs::types::DesiredStatus;
use serde::Serialize;
use serde_json::{Value, json};

use super::{EcsServices, service_of};
use crate::error::Result;
use crate::session::Session;
use crate::signed_request::{DESCRIBE_SECRET, LIST_SECRET_VERSION_IDS};

/// A service with running tasks that have an older value of a secret than Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutdatedSecrets {
    /// The name of the service.
    pub service: String,
    /// The ARN of the service.
    pub arn: String,
    /// The number of those tasks.
    pub tasks: usize,
    /// The names of the changed secrets.
    pub secrets: Vec<String>,
}

/// `orders: the value of secret shop-dev-token changed after 2 of its tasks started`.
impl std::fmt::Display for OutdatedSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (secrets, tasks) = (self.secrets.join(", "), self.tasks);
        let subject = if self.tasks == 1 { "task" } else { "tasks" };
        write!(
            f,
            "{}: the value of {secrets} changed after {tasks} running {subject} started",
            self.service
        )
    }
}

struct RunningTask {
    task_definition: String,
    /// Seconds since 1970.
    created: f64,
}

/// Returns the services whose running tasks have an older value of a secret.
///
/// # Errors
/// A request fails.
pub async fn outdated_secrets(aws: &Session, services: &EcsServices) -> Result<Vec<OutdatedSecrets>> {
    let mut tasks = BTreeMap::new();
    let mut secrets = BTreeMap::new();
    for arn in services.arns() {
        let running = running_tasks(aws, arn).await?;
        for task in &running {
            if !secrets.contains_key(&task.task_definition) {
                let used = used_secrets(aws, &task.task_definition).await?;
                secrets.insert(task.task_definition.clone(), used);
            }
        }
        tasks.insert(arn, running);
    }
    let mut changes = BTreeMap::new();
    for secret in secrets.values().flatten().collect::<BTreeSet<_>>() {
        if let Some(change) = last_change(aws, secret).await? {
            changes.insert(secret.clone(), change);
        }
    }
    let outdated = tasks.into_iter().filter_map(|(arn, tasks)| {
        let mut found = BTreeSet::new();
        let mut count = 0;
        for task in tasks {
            let used = &secrets[&task.task_definition];
            let changed = |secret: &&String| changes.get(*secret).is_some_and(|change| change.time > task.created);
            let changed: Vec<&String> = used.iter().filter(changed).collect();
            if !changed.is_empty() {
                count += 1;
                found.extend(changed.into_iter().map(|secret| changes[secret].name.clone()));
            }
        }
        (count > 0).then(|| OutdatedSecrets {
            service: service_of(arn).map_or(arn, |(_, name)| name).to_owned(),
            arn: arn.to_owned(),
            tasks: count,
            secrets: found.into_iter().collect(),
        })
    });
    Ok(outdated.collect())
}

/// Starts a rollout of the task definition that a service has: new tasks read their secrets.
///
/// # Errors
/// The request fails.
pub async fn restart_service(aws: &Session, arn: &str) -> Result<()> {
    let (cluster, name) = service_of(arn).unwrap_or(("default", arn));
    let request = aws.ecs.update_service().cluster(cluster).service(name);
    request.force_new_deployment(true).send().await?;
    Ok(())
}

async fn running_tasks(aws: &Session, service: &str) -> Result<Vec<RunningTask>> {
    let (cluster, name) = service_of(service).unwrap_or(("default", service));
    let request = aws.ecs.list_tasks().cluster(cluster).service_name(name);
    let mut pages = request.desired_status(DesiredStatus::Running).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        // One page has 100 tasks, the maximum of `DescribeTasks`.
        let arns = page?.task_arns.unwrap_or_default();
        if arns.is_empty() {
            continue;
        }
        let request = aws.ecs.describe_tasks().cluster(cluster).set_tasks(Some(arns));
        let tasks = request.send().await?.tasks.unwrap_or_default();
        found.extend(tasks.into_iter().filter_map(|task| {
            Some(RunningTask {
                created: task.created_at?.as_secs_f64(),
                task_definition: task.task_definition_arn?,
            })
        }));
    }
    Ok(found)
}

/// Returns the ARNs of the secrets whose current value the containers of a task definition get.
async fn used_secrets(aws: &Session, task_definition: &str) -> Result<Vec<String>> {
    let request = aws.ecs.describe_task_definition().task_definition(task_definition);
    let response = request.send().await?;
    let containers = response
        .task_definition()
        .map(|definition| definition.container_definitions())
        .unwrap_or_default();
    let all = containers.iter().flat_map(|container| container.secrets());
    let mut found: Vec<String> = all.filter_map(|secret| current_secret(secret.value_from())).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

/// Returns the secret's ARN of a reference, `arn:…:secret:NAME:JSON_KEY:STAGE:VERSION`; `None` for a parameter, or for a version that
/// does not change.
fn current_secret(value_from: &str) -> Option<String> {
    let parts: Vec<&str> = value_from.split(':').collect();
    let pinned = parts.iter().skip(8).any(|part| !part.is_empty());
    (parts.len() >= 7 && parts[2] == "secretsmanager" && !pinned).then(|| parts[..7].join(":"))
}

/// The last change of a secret's current value.
struct Change {
    name: String,
    /// Seconds since 1970.
    time: f64,
}

/// Returns the last change of a secret's current value. `None` if there is no such secret, or if another service owns it: RDS changes
/// the password of a database each week, and the services fetch the new one themselves.
async fn last_change(aws: &Session, arn: &str) -> Result<Option<Change>> {
    let input = json!({ "SecretId": arn });
    let secret = match aws.signed.call(DESCRIBE_SECRET, &input).await {
        Err(error) if error.is_not_found() => return Ok(None),
        secret => secret?,
    };
    if secret["OwningService"].as_str().is_some_and(|owner| !owner.is_empty()) {
        return Ok(None);
    }
    let versions = aws.signed.call(LIST_SECRET_VERSION_IDS, &input).await?;
    Ok(Some(Change {
        name: secret["Name"].as_str().unwrap_or(arn).to_owned(),
        time: change_time(&secret, &versions),
    }))
}

/// Returns the time since which the version labelled `AWSCURRENT` is the current one.
///
/// A version is usually current from its creation, or from the end of a rotation. If the label was moved back to an older version,
/// only `LastChangedDate` shows it, which any other change of the secret moves, too.
fn change_time(secret: &Value, versions: &Value) -> f64 {
    let created = |stage: &str| {
        let mut all = versions["Versions"].as_array().into_iter().flatten();
        let stages = |version: &&Value| {
            version["VersionStages"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one == stage))
        };
        all.find(stages).and_then(|version| version["CreatedDate"].as_f64())
    };
    let time = |name: &str| secret[name].as_f64().unwrap_or_default();
    let current = created("AWSCURRENT").unwrap_or_default();
    if created("AWSPREVIOUS").is_some_and(|previous| previous > current) {
        time("LastChangedDate")
    } else {
        current.max(time("LastRotatedDate"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeAws;

    const SERVICE: &str = "arn:aws:ecs:us-east-1:111122223333:service/shop-dev/orders";

    fn secret(name: &str) -> String {
        format!("arn:aws:secretsmanager:us-east-1:111122223333:secret:{name}-AbCdEf")
    }

    /// A service with two tasks, created at 100 and 300, which use three secrets; one of RDS.
    async fn account(changed_at: f64) -> FakeAws {
        FakeAws::start(move |call| {
            let id = call.json()["SecretId"].as_str().unwrap_or_default().to_owned();
            let value = match call.operation.as_str() {
                "ListTasks" => json!({ "taskArns": ["t/1", "t/2"] }),
                "DescribeTasks" => json!({ "tasks": [
                    { "taskDefinitionArn": "orders:1", "createdAt": 100.0 },
                    { "taskDefinitionArn": "orders:1", "createdAt": 300.0 },
                ] }),
                "DescribeTaskDefinition" => json!({ "taskDefinition": { "containerDefinitions": [{ "secrets": [
                    { "name": "TOKEN", "valueFrom": secret("token") },
                    { "name": "PASSWORD", "valueFrom": format!("{}:password::", secret("rds!db")) },
                    { "name": "OLD", "valueFrom": format!("{}:::v1", secret("pinned")) },
                ] }] } }),
                "DescribeSecret" if id == secret("rds!db") => json!({ "Name": "rds!db", "OwningService": "rds" }),
                "DescribeSecret" => json!({ "Name": "shop-dev-token", "LastChangedDate": 900.0 }),
                "ListSecretVersionIds" => json!({ "Versions": [
                    { "VersionStages": ["AWSPREVIOUS"], "CreatedDate": 50.0 },
                    { "VersionStages": ["AWSCURRENT"], "CreatedDate": changed_at },
                ] }),
                other => panic!("{other} was not expected"),
            };
            Some((200, value.to_string()))
        })
        .await
    }

    #[tokio::test]
    async fn only_tasks_from_before_the_change_of_a_value_are_outdated() {
        for (changed_at, tasks) in [(60.0, 0), (200.0, 1), (400.0, 2)] {
            let endpoint = account(changed_at).await;
            let aws = endpoint.session().await;
            let services = EcsServices::of([SERVICE.to_owned()]);
            let found = outdated_secrets(&aws, &services).await.expect("an answer");
            let expected = (tasks > 0).then(|| OutdatedSecrets {
                service: "orders".into(),
                arn: SERVICE.into(),
                tasks,
                secrets: vec!["shop-dev-token".into()],
            });
            assert_eq!(
                found,
                expected.into_iter().collect::<Vec<_>>(),
                "changed at {changed_at}"
            );
        }
    }

    #[test]
    fn a_label_that_was_moved_back_counts_from_the_last_change_of_the_secret() {
        let versions = json!({ "Versions": [
            { "VersionStages": ["AWSCURRENT"], "CreatedDate": 50.0 },
            { "VersionStages": ["AWSPREVIOUS"], "CreatedDate": 200.0 },
        ] });
        let secret = json!({ "LastChangedDate": 900.0, "LastRotatedDate": 300.0 });
        let difference = (change_time(&secret, &versions) - 900.0).abs();
        assert!(difference < 0.001);
    }

    #[test]
    fn a_reference_to_a_fixed_version_never_changes() {
        let arn = secret("token");
        assert_eq!(current_secret(&arn), Some(arn.clone()));
        assert_eq!(current_secret(&format!("{arn}:key::")), Some(arn.clone()));
        assert_eq!(current_secret(&format!("{arn}:::v1")), None);
        assert_eq!(current_secret("arn:aws:ssm:us-east-1:111122223333:parameter/a"), None);
    }
}
