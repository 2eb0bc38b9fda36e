//! Services and tasks in the cluster, listeners and rules of the load balancer.

use aws::{Result, Session, ecs, elb};

use super::{Owned, UnmanagedResource};

/// Returns the unmanaged services and tasks.
pub async fn services(aws: &Session, owned: &Owned) -> Result<Vec<UnmanagedResource>> {
    let mut found = Vec::new();
    for cluster in owned.all("AWS::ECS::Cluster") {
        let services = ecs::list_services(aws, cluster).await?.into_iter();
        found.extend(services.filter(|arn| !owned.has(arn)).map(|arn| UnmanagedResource {
            resource_type: "AWS::ECS::Service",
            description: format!("a service in cluster {cluster}"),
            id: arn,
        }));
        // The task of a service belongs to the service, which may be managed.
        for task in ecs::standalone_tasks(aws, cluster).await? {
            let by = task.started_by.map(|by| format!(", started by {by}"));
            found.push(UnmanagedResource {
                resource_type: "AWS::ECS::Task",
                id: task.arn,
                description: format!(
                    "a task without a service in cluster {cluster}{}",
                    by.unwrap_or_default()
                ),
            });
        }
    }
    Ok(found)
}

/// Returns the unmanaged listeners and their rules.
pub async fn listeners(aws: &Session, owned: &Owned) -> Result<Vec<UnmanagedResource>> {
    let mut found = Vec::new();
    for load_balancer in owned.all("AWS::ElasticLoadBalancingV2::LoadBalancer") {
        for listener in elb::listeners(aws, load_balancer).await? {
            if !owned.has(&listener.arn) {
                found.push(UnmanagedResource {
                    resource_type: "AWS::ElasticLoadBalancingV2::Listener",
                    id: listener.arn,
                    description: format!("listens on port {}", listener.port),
                });
                continue;
            }
            let rules = elb::rules(aws, &listener.arn).await?.into_iter();
            found.extend(
                rules
                    .filter(|rule| !owned.has(&rule.arn))
                    .map(|rule| UnmanagedResource {
                        resource_type: "AWS::ElasticLoadBalancingV2::ListenerRule",
                        description: format!("priority {}: {}", rule.priority, rule.conditions.join(" ")),
                        id: rule.arn,
                    }),
            );
        }
    }
    Ok(found)
}
