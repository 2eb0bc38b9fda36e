//! Services and tasks in our cluster, listeners and rules of our load balancer.

use aws_sdk_ecs::types::DesiredStatus;
use futures::future::try_join_all;

use super::{Owned, Undeclared};
use crate::error::Result;
use crate::target::Aws;

/// How many tasks DescribeTasks takes at once.
const PAGE: usize = 100;

pub async fn services(aws: &Aws, owned: &Owned) -> Result<Vec<Undeclared>> {
    let mut found = Vec::new();
    for cluster in owned.all("AWS::ECS::Cluster") {
        let services = aws.ecs.list_services().cluster(cluster).into_paginator().items().send();
        let services: Vec<String> = services.collect::<Result<Vec<_>, _>>().await?;
        found.extend(
            services
                .into_iter()
                .filter(|arn| !owned.has(arn))
                .map(|arn| Undeclared {
                    kind: "AWS::ECS::Service",
                    what: format!("a service in cluster {cluster}"),
                    id: arn,
                }),
        );
        let tasks = aws
            .ecs
            .list_tasks()
            .cluster(cluster)
            .desired_status(DesiredStatus::Running);
        let tasks: Vec<String> = tasks
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await?;
        for page in tasks.chunks(PAGE) {
            let request = aws.ecs.describe_tasks().cluster(cluster).set_tasks(Some(page.to_vec()));
            for task in request.send().await?.tasks() {
                // A service's task belongs to it, whoever made the service.
                let by_hand = task.group().is_none_or(|group| !group.starts_with("service:"));
                if by_hand {
                    let by = task
                        .started_by()
                        .map(|by| format!(", started by {by}"))
                        .unwrap_or_default();
                    found.push(Undeclared {
                        kind: "AWS::ECS::Task",
                        id: task.task_arn().unwrap_or_default().to_owned(),
                        what: format!("a task of no service in cluster {cluster}{by}"),
                    });
                }
            }
        }
    }
    Ok(found)
}

pub async fn doors(aws: &Aws, owned: &Owned) -> Result<Vec<Undeclared>> {
    let balancers = owned.all("AWS::ElasticLoadBalancingV2::LoadBalancer");
    let listeners = balancers.iter().map(|arn| {
        let pages = aws.elb.describe_listeners().load_balancer_arn(arn).into_paginator();
        pages.items().send().collect::<Result<Vec<_>, _>>()
    });
    let listeners = try_join_all(listeners).await?.concat();
    let mut found = Vec::new();
    for listener in &listeners {
        let arn = listener.listener_arn().unwrap_or_default();
        if !owned.has(arn) {
            found.push(Undeclared {
                kind: "AWS::ElasticLoadBalancingV2::Listener",
                id: arn.to_owned(),
                what: format!("listens on port {}", listener.port().unwrap_or_default()),
            });
            continue;
        }
        let rules = aws
            .elb
            .describe_rules()
            .listener_arn(arn)
            .into_paginator()
            .items()
            .send();
        for rule in rules.collect::<Result<Vec<_>, _>>().await? {
            let id = rule.rule_arn().unwrap_or_default();
            if !rule.is_default().unwrap_or_default() && !owned.has(id) {
                let values: Vec<&str> = rule
                    .conditions()
                    .iter()
                    .flat_map(|condition| condition.values())
                    .map(String::as_str)
                    .collect();
                found.push(Undeclared {
                    kind: "AWS::ElasticLoadBalancingV2::ListenerRule",
                    id: id.to_owned(),
                    what: format!("priority {}: {}", rule.priority().unwrap_or("?"), values.join(" ")),
                });
            }
        }
    }
    Ok(found)
}
