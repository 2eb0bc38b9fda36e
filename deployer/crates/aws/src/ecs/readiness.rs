//! Readiness of the system: services steady, targets healthy, a GET through the load balancer answered.

use std::time::Duration;

use aws_sdk_ecs::types::{DeploymentRolloutState, Service};
use futures::future::try_join_all;
use platform::stacks::Plan;
use serde::Serialize;
use tokio::net::lookup_host;

use super::error::{Error, Result};
use super::service_of;
use super::traffic::{Traffic, traffic};
use crate::cloudformation::{find_stack, stack_resources};
use crate::elb;
use crate::endpoint::EndpointKind;
use crate::http::{self, RequestOptions};
use crate::session::Session;

/// Timeout of the GET through the load balancer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The state of a service that does not exist.
const MISSING: &str = "MISSING";

/// The status of one ECS service.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceStatus {
    /// The name of the service.
    pub service: String,
    /// Tasks in the status `RUNNING`.
    pub running: i32,
    /// Tasks that ECS is to run.
    pub desired: i32,
    /// Tasks that are being started.
    pub pending: i32,
    /// The state of the newest deployment, such as `COMPLETED`.
    pub rollout: String,
    /// Health states of its targets behind the load balancer.
    pub targets: Vec<String>,
    /// The message of the newest service event.
    pub last_event: Option<String>,
    /// ARN of the task definition of the newest deployment.
    pub task_definition: Option<String>,
    /// Start of that deployment, in seconds since 1970.
    pub since: Option<i64>,
    /// The movement of requests to the tasks of that deployment, while it is in progress.
    pub traffic: Option<Traffic>,
}

impl ServiceStatus {
    /// Returns whether the rollout is complete, and every target is healthy or being removed.
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

    fn is_missing(&self) -> bool {
        self.rollout == MISSING
    }

    fn missing(service: &str) -> Self {
        Self {
            service: service.to_owned(),
            running: 0,
            desired: 0,
            pending: 0,
            rollout: MISSING.into(),
            targets: Vec::new(),
            last_event: None,
            task_definition: None,
            since: None,
            traffic: None,
        }
    }

    fn new(service: &Service, targets: Vec<String>) -> Self {
        let deployments = service.deployments();
        let primary = deployments.iter().find(|d| d.status() == Some("PRIMARY"));
        let rollout = match primary.and_then(|d| d.rollout_state()) {
            Some(DeploymentRolloutState::Completed) | None if deployments.len() <= 1 => "COMPLETED",
            Some(DeploymentRolloutState::Completed) | None => "IN_PROGRESS",
            Some(state) => state.as_str(),
        };
        let task_definition = primary.and_then(|d| d.task_definition()).or(service.task_definition());
        let last_event = service.events().first().and_then(|event| event.message());
        Self {
            service: service.service_name().unwrap_or_default().to_owned(),
            running: service.running_count(),
            desired: service.desired_count(),
            pending: service.pending_count(),
            rollout: rollout.to_owned(),
            targets,
            last_event: last_event.map(str::to_owned),
            task_definition: task_definition.map(str::to_owned),
            since: primary.and_then(|d| d.created_at()).map(|time| time.secs()),
            traffic: None,
        }
    }
}

/// `billing-service: 1 of 2 running, rollout IN_PROGRESS, targets healthy initial`.
impl std::fmt::Display for ServiceStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            service,
            running,
            desired,
            rollout,
            targets,
            ..
        } = self;
        write!(f, "{service}: {running} of {desired} running, rollout {rollout}")?;
        if targets.is_empty() {
            return Ok(());
        }
        write!(f, ", targets {}", targets.join(" "))
    }
}

/// The ECS services of a plan's stacks, each with its target groups, by ARN.
#[derive(Debug, Clone, Default)]
pub struct EcsServices {
    services: Vec<(String, Vec<String>)>,
}

impl EcsServices {
    /// Finds the services in the resources of the stacks.
    ///
    /// # Errors
    /// A request fails.
    pub async fn find(aws: &Session, plan: &Plan) -> Result<Self> {
        let has_service = |template: &serde_json::Value| {
            template["Resources"]
                .as_object()
                .is_some_and(|all| all.values().any(|r| r["Type"] == "AWS::ECS::Service"))
        };
        let stacks = plan.stacks.iter().filter(|stack| has_service(&stack.template));
        let found = try_join_all(stacks.map(|stack| stack_resources(aws, &stack.name))).await?;
        let services = found.into_iter().flat_map(|resources| {
            let of_type = |resource_type: &str| {
                let found = resources
                    .iter()
                    .filter(|r| r.resource_type == resource_type && !r.physical_id.is_empty());
                found.map(|r| r.physical_id.clone()).collect()
            };
            let groups: Vec<String> = of_type("AWS::ElasticLoadBalancingV2::TargetGroup");
            let services: Vec<String> = of_type("AWS::ECS::Service");
            services.into_iter().map(move |service| (service, groups.clone()))
        });
        Ok(Self {
            services: services.collect(),
        })
    }

    /// Returns the ARNs of the services.
    pub(super) fn arns(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(|(arn, _)| arn.as_str())
    }

    /// Returns services without target groups.
    #[cfg(test)]
    pub(super) fn of(arns: impl IntoIterator<Item = String>) -> Self {
        Self {
            services: arns.into_iter().map(|arn| (arn, Vec::new())).collect(),
        }
    }

    /// Returns the ARN of the service of this name.
    pub fn arn(&self, service: &str) -> Option<&str> {
        self.arns()
            .find(|arn| service_of(arn).is_some_and(|(_, name)| name == service))
    }

    /// Returns the names of the services that do not exist any more, although their stacks have them.
    ///
    /// # Errors
    /// A request fails.
    pub async fn deleted(&self, aws: &Session) -> Result<Vec<String>> {
        let all = self.status(aws).await?.into_iter();
        Ok(all.filter(ServiceStatus::is_missing).map(|one| one.service).collect())
    }

    /// Returns the status of each service.
    ///
    /// # Errors
    /// A request fails.
    pub async fn status(&self, aws: &Session) -> Result<Vec<ServiceStatus>> {
        try_join_all(self.services.iter().map(|(arn, groups)| async move {
            let (cluster, name) = service_of(arn).unwrap_or(("default", arn));
            let request = aws.ecs.describe_services().cluster(cluster).services(arn);
            let response = request.send().await?;
            let targets = try_join_all(groups.iter().map(|group| elb::target_states(aws, group)));
            let targets = targets.await?.concat();
            // A deleted service is described as INACTIVE for a while (Amazon ECS API Reference: DeleteService).
            let existing = response
                .services()
                .iter()
                .find(|found| found.status() != Some("INACTIVE"));
            let Some(service) = existing else {
                return Ok(ServiceStatus::missing(name));
            };
            let mut status = ServiceStatus::new(service, targets);
            if status.rollout != "COMPLETED" {
                status.traffic = traffic(aws, cluster, service).await?;
            }
            Ok(status)
        }))
        .await
    }
}

/// The public URL of the system.
struct PublicEndpoint {
    url: String,
    /// The DNS name of the load balancer, if the URL has another host.
    load_balancer: Option<String>,
}

/// Returns the base URL of the system, from the outputs of the stack with its load balancer.
///
/// # Errors
/// The request fails.
pub async fn public_url(aws: &Session, plan: &Plan) -> Result<Option<String>> {
    let endpoint = public_endpoint(aws, plan).await?;
    Ok(endpoint.map(|endpoint| endpoint.url))
}

async fn public_endpoint(aws: &Session, plan: &Plan) -> Result<Option<PublicEndpoint>> {
    let Some(stack) = find_stack(aws, &plan.ingress.stack).await? else {
        return Ok(None);
    };
    Ok(stack.outputs.get("LoadBalancerDnsName").map(|dns| {
        // A custom domain does not lead to a local endpoint.
        let aws_only = aws.endpoint().kind == EndpointKind::Aws;
        let host = plan.ingress.host.as_ref().filter(|_| aws_only);
        let own = || base_url(host.unwrap_or(dns), plan);
        PublicEndpoint {
            url: aws.endpoint().load_balancer_url(dns).unwrap_or_else(own),
            load_balancer: host.map(|_| dns.to_lowercase()),
        }
    }))
}

fn base_url(host: &str, plan: &Plan) -> String {
    let (scheme, default_port) = if plan.ingress.https {
        ("https", 443)
    } else {
        ("http", 80)
    };
    let host = host.to_lowercase();
    match plan.ingress.port {
        port if port == default_port => format!("{scheme}://{host}"),
        port => format!("{scheme}://{host}:{port}"),
    }
}

/// A check of the system's readiness.
pub struct Readiness {
    services: EcsServices,
    endpoint: PublicEndpoint,
}

impl Readiness {
    /// Finds the services and the public URL.
    ///
    /// # Errors
    /// A request fails, or the stack of the load balancer has no output with its DNS name.
    pub async fn find(aws: &Session, plan: &Plan) -> Result<Self> {
        let services = EcsServices::find(aws, plan).await?;
        let endpoint = public_endpoint(aws, plan).await?;
        let endpoint = endpoint.ok_or_else(|| Error::NoLoadBalancerOutput {
            stack: plan.ingress.stack.clone(),
        })?;
        Ok(Self { services, endpoint })
    }

    /// Returns the URL, without a path.
    pub fn url(&self) -> &str {
        &self.endpoint.url
    }

    /// Returns what is not ready yet; `None` if the system is ready.
    ///
    /// # Errors
    /// A request fails.
    pub async fn check(&self, aws: &Session, plan: &Plan) -> Result<Option<String>> {
        let states = self.services.status(aws).await?;
        match states.iter().find(|state| !state.is_steady()) {
            Some(state) => Ok(Some(state.to_string())),
            None => Ok(self.probe_failure(aws, plan).await),
        }
    }

    /// Sends a GET through the load balancer, and returns a description of its failure.
    async fn probe_failure(&self, aws: &Session, plan: &Plan) -> Option<String> {
        let path = &plan.ingress.readiness_path;
        let mut options = RequestOptions {
            ca_file: aws.endpoint().ca_file.as_deref(),
            addresses: Vec::new(),
        };
        if let Some(dns) = &self.endpoint.load_balancer {
            match lookup_host((dns.as_str(), plan.ingress.port)).await {
                Ok(found) => options.addresses = found.collect(),
                Err(error) => return Some(format!("{dns}: {error}")),
            }
        }
        let url = format!("{}{path}", self.endpoint.url);
        match http::get_with(&options, &url, PROBE_TIMEOUT).await {
            Ok((status, _)) if status < 500 => None,
            Ok((status, _)) => Some(format!("GET {path} through the load balancer returns {status}")),
            Err(error) => Some(format!("GET {path} through the load balancer: {error}")),
        }
    }

    /// Returns the custom host name and the load balancer's DNS name, if the former does not resolve yet.
    pub async fn unresolved_host(&self, plan: &Plan) -> Option<(String, String)> {
        let (dns, host) = (self.endpoint.load_balancer.as_ref()?, plan.ingress.host.as_ref()?);
        match lookup_host((host.as_str(), plan.ingress.port)).await {
            Ok(_) => None,
            Err(_) => Some((host.clone(), dns.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::FakeAws;

    #[tokio::test]
    async fn a_service_that_was_deleted_outside_its_stack_is_found() {
        let endpoint = FakeAws::start(|call| {
            let arn = call.json()["services"][0].as_str().unwrap_or_default().to_owned();
            let (_, name) = service_of(&arn).expect("an ARN");
            let services = match name {
                "gone" => json!([]),
                "deleted" => json!([{ "serviceName": name, "status": "INACTIVE" }]),
                _ => json!([{ "serviceName": name, "status": "ACTIVE" }]),
            };
            Some((200, json!({ "services": services }).to_string()))
        })
        .await;
        let arn = |name: &str| format!("arn:aws:ecs:us-east-1:111122223333:service/shop-dev/{name}");
        let services = EcsServices::of(["web", "gone", "deleted"].map(arn));
        let deleted = services.deleted(&endpoint.session().await).await.expect("an answer");
        assert_eq!(deleted, ["gone", "deleted"]);
    }

    #[test]
    fn a_service_with_an_unhealthy_target_is_not_steady() {
        let mut status = ServiceStatus {
            running: 1,
            desired: 1,
            rollout: "COMPLETED".into(),
            targets: vec!["healthy".into(), "draining".into()],
            ..ServiceStatus::missing("s")
        };
        assert!(status.is_steady());
        status.targets.push("initial".into());
        assert!(!status.is_steady());
    }
}
