//! Whether the system serves: services steady, targets healthy, a GET through the load balancer answered.

use std::time::Duration;

use aws_sdk_ecs::types::{DeploymentRolloutState, Service};
use futures::future::try_join_all;
use serde::Serialize;
use tokio::net::lookup_host;

use super::service_of;
use crate::cloudformation::patience::{Patience, persist};
use crate::cloudformation::stack;
use crate::error::{Error, Result};
use crate::stacks::Plan;
use crate::target::Aws;
use crate::target::capabilities::Kind;
use crate::target::http::{self, Way};
use ui::{Event, Ui};

/// One ECS service as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    pub service: String,
    pub running: i32,
    pub desired: i32,
    pub pending: i32,
    pub rollout: String,
    /// States of its targets behind the load balancer.
    pub targets: Vec<String>,
    pub last_event: Option<String>,
    /// ARN of what the newest deployment runs.
    pub task_definition: Option<String>,
    /// When that deployment began, in seconds since 1970.
    pub since: Option<i64>,
}

impl Standing {
    pub fn is_steady(&self) -> bool {
        self.running == self.desired
            && self.pending == 0
            && self.rollout == "COMPLETED"
            && (self.targets.iter().any(|t| t == "healthy") || self.targets.is_empty())
            && self
                .targets
                .iter()
                .all(|t| t == "healthy" || t == "draining" || t == "unused")
    }
}

/// The ECS resources of the service stacks: what must stand before the system serves.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    services: Vec<(String, Vec<String>)>,
}

/// Finds the ECS services of the plan's stacks, each with its target groups.
pub async fn parts(aws: &Aws, plan: &Plan) -> Result<Parts> {
    let has_service = |template: &serde_json::Value| {
        template["Resources"]
            .as_object()
            .is_some_and(|all| all.values().any(|r| r["Type"] == "AWS::ECS::Service"))
    };
    let stacks = plan.stacks.iter().filter(|stack| has_service(&stack.template));
    let found = try_join_all(stacks.map(|stack| stack::resources(aws, &stack.name))).await?;
    let services = found.into_iter().flat_map(|resources| {
        let of = |kind: &str| {
            resources
                .iter()
                .filter(|r| r.kind == kind && !r.physical.is_empty())
                .map(|r| r.physical.clone())
                .collect()
        };
        let groups: Vec<String> = of("AWS::ElasticLoadBalancingV2::TargetGroup");
        let services: Vec<String> = of("AWS::ECS::Service");
        services.into_iter().map(move |service| (service, groups.clone()))
    });
    Ok(Parts {
        services: services.collect(),
    })
}

impl Parts {
    /// The ARN of the ECS service of this name.
    pub fn arn(&self, service: &str) -> Option<&str> {
        let mut arns = self.services.iter().map(|(arn, _)| arn.as_str());
        arns.find(|arn| service_of(arn).is_some_and(|(_, name)| name == service))
    }
}

/// How each service stands now.
pub async fn standing(aws: &Aws, parts: &Parts) -> Result<Vec<Standing>> {
    try_join_all(parts.services.iter().map(|(arn, groups)| async move {
        let (cluster, name) = service_of(arn).unwrap_or(("default", arn));
        let answer = aws
            .ecs
            .describe_services()
            .cluster(cluster)
            .services(arn)
            .send()
            .await?;
        let targets = try_join_all(groups.iter().map(|group| targets(aws, group)))
            .await?
            .concat();
        let missing = || Standing {
            service: name.to_owned(),
            running: 0,
            desired: 0,
            pending: 0,
            rollout: "MISSING".into(),
            targets: Vec::new(),
            last_event: None,
            task_definition: None,
            since: None,
        };
        Ok(answer
            .services()
            .first()
            .map_or_else(missing, |service| summary(service, targets)))
    }))
    .await
}

fn summary(service: &Service, targets: Vec<String>) -> Standing {
    let deployments = service.deployments();
    let primary = deployments.iter().find(|d| d.status() == Some("PRIMARY"));
    let rollout = match primary.and_then(|d| d.rollout_state()) {
        Some(DeploymentRolloutState::Completed) | None if deployments.len() <= 1 => "COMPLETED".to_owned(),
        Some(state) => state.as_str().to_owned(),
        None => "IN_PROGRESS".to_owned(),
    };
    Standing {
        service: service.service_name().unwrap_or_default().to_owned(),
        running: service.running_count(),
        desired: service.desired_count(),
        pending: service.pending_count(),
        rollout: if rollout == "COMPLETED" && deployments.len() > 1 {
            "IN_PROGRESS".into()
        } else {
            rollout
        },
        targets,
        last_event: service.events().first().and_then(|e| e.message()).map(str::to_owned),
        task_definition: primary
            .and_then(|d| d.task_definition())
            .or(service.task_definition())
            .map(str::to_owned),
        since: primary.and_then(|d| d.created_at()).map(|time| time.secs()),
    }
}

/// States of the targets of a target group.
pub async fn targets(aws: &Aws, group: &str) -> Result<Vec<String>> {
    let answer = aws.elb.describe_target_health().target_group_arn(group).send().await?;
    let state = |target: &aws_sdk_elasticloadbalancingv2::types::TargetHealthDescription| {
        target
            .target_health()
            .and_then(|h| h.state())
            .map(|s| s.as_str().to_owned())
    };
    Ok(answer.target_health_descriptions().iter().filter_map(state).collect())
}

/// Where the system is reached.
struct Door {
    url: String,
    /// The load balancer's own name, where the URL has another one.
    behind: Option<String>,
}

/// The base URL of the system, from the outputs of the stack that holds its load balancer.
pub async fn url(aws: &Aws, plan: &Plan) -> Result<Option<String>> {
    Ok(door(aws, plan).await?.map(|door| door.url))
}

async fn door(aws: &Aws, plan: &Plan) -> Result<Option<Door>> {
    let Some(existing) = stack::find(aws, &plan.ingress.stack).await? else {
        return Ok(None);
    };
    Ok(existing.outputs.get("LoadBalancerDnsName").map(|dns| {
        // on an endpoint of this machine nobody's domain leads to it
        let named = plan.ingress.host.as_ref().filter(|_| aws.endpoint.kind == Kind::Aws);
        let own = || base_url(named.unwrap_or(dns), plan);
        Door {
            url: aws.endpoint.front_door(dns).unwrap_or_else(own),
            behind: named.map(|_| dns.to_lowercase()),
        }
    }))
}

fn base_url(host: &str, plan: &Plan) -> String {
    let (scheme, usual) = if plan.ingress.https {
        ("https", 443)
    } else {
        ("http", 80)
    };
    let host = host.to_lowercase();
    if plan.ingress.port == usual {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{}", plan.ingress.port)
    }
}

/// Waits until the system serves, and gives its URL.
pub async fn wait(aws: &Aws, ui: &Ui, plan: &Plan, limit: Duration) -> Result<String> {
    let wait = aws.wait(limit);
    let parts = persist(aws, ui, || parts(aws, plan)).await?;
    let Some(door) = persist(aws, ui, || door(aws, plan)).await? else {
        return Err(Error::Plan(format!(
            "stack {} has no output LoadBalancerDnsName",
            plan.ingress.stack
        )));
    };
    let mut patience = Patience::new(aws.clock);
    loop {
        let Some(states) = patience.bear(ui, standing(aws, &parts).await)? else {
            aws.clock.sleep(aws.pace).await;
            continue;
        };
        let waiting = match states.iter().find(|state| !state.is_steady()) {
            Some(state) => describe(state),
            None => match probe(aws, &door, plan).await {
                Ok(()) => {
                    told_by_dns(ui, &door, plan).await;
                    return Ok(door.url);
                }
                Err(reason) => reason,
            },
        };
        wait.within(|| "the system's start".into(), || Some(waiting.clone()))?;
        ui.emit(Event::Serving { state: waiting });
        aws.clock.sleep(aws.pace).await;
    }
}

fn describe(state: &Standing) -> String {
    let Standing {
        service,
        running,
        desired,
        rollout,
        targets,
        ..
    } = state;
    let targets = if targets.is_empty() {
        String::new()
    } else {
        format!(", targets {}", targets.join(" "))
    };
    format!("{service}: {running} of {desired} running, rollout {rollout}{targets}")
}

async fn probe(aws: &Aws, door: &Door, plan: &Plan) -> Result<(), String> {
    let path = &plan.ingress.readiness_path;
    let mut way = Way {
        authority: aws.endpoint.vouching.as_deref(),
        addresses: Vec::new(),
    };
    if let Some(dns) = &door.behind {
        let found = lookup_host((dns.as_str(), plan.ingress.port)).await;
        way.addresses = found.map_err(|error| format!("{dns}: {error}"))?.collect();
    }
    match http::get_by(&way, &format!("{}{path}", door.url), Duration::from_secs(5)).await {
        Ok((status, _)) if status < 500 => Ok(()),
        Ok((status, _)) => Err(format!("GET {path} through the load balancer gives {status}")),
        Err(reason) => Err(format!("GET {path} through the load balancer: {reason}")),
    }
}

/// A name of one's own leads nowhere until its domain says where.
async fn told_by_dns(ui: &Ui, door: &Door, plan: &Plan) {
    if let (Some(dns), Some(host)) = (&door.behind, &plan.ingress.host)
        && lookup_host((host.as_str(), plan.ingress.port)).await.is_err()
    {
        ui.warn(format!(
            "{host} has no address yet: point it to {dns} (a CNAME record, or an alias in Route 53)"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_with_an_unhealthy_target_is_not_steady() {
        let mut state = Standing {
            service: "s".into(),
            running: 1,
            desired: 1,
            pending: 0,
            rollout: "COMPLETED".into(),
            targets: vec!["healthy".into(), "draining".into()],
            last_event: None,
            task_definition: None,
            since: None,
        };
        assert!(state.is_steady());
        state.targets.push("initial".into());
        assert!(!state.is_steady());
    }
}
