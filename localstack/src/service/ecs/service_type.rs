//! `AWS::ECS::Service`: a service as a template declares it, done when it has reached a steady state.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::model::{self, Rollout, Service};
use super::shape::{members, text};
use super::{Ecs, services};
use crate::records::tags_of;
use crate::{Context, Desired, Failure, Resource, ResourceType, Schema};

/// How long CloudFormation waits for a service to stabilise.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);

pub struct ServiceType;

#[async_trait]
impl ResourceType for ServiceType {
    fn name(&self) -> &'static str {
        "AWS::ECS::Service"
    }

    fn schema(&self) -> Schema {
        Schema {
            properties: &[
                "AvailabilityZoneRebalancing",
                "CapacityProviderStrategy",
                "Cluster",
                "DeploymentConfiguration",
                "DeploymentController",
                "DesiredCount",
                "EnableECSManagedTags",
                "EnableExecuteCommand",
                "ForceNewDeployment",
                "HealthCheckGracePeriodSeconds",
                "LaunchType",
                "LoadBalancers",
                "NetworkConfiguration",
                "PlacementConstraints",
                "PlacementStrategies",
                "PlatformVersion",
                "PropagateTags",
                "Role",
                "SchedulingStrategy",
                "ServiceConnectConfiguration",
                "ServiceName",
                "ServiceRegistries",
                "Tags",
                "TaskDefinition",
                "VolumeConfigurations",
                "VpcLatticeConfigurations",
            ],
            create_only: &[
                "Cluster",
                "DeploymentController",
                "Role",
                "SchedulingStrategy",
                "ServiceName",
            ],
            attributes: &["Name", "ServiceArn"],
            ..Schema::default()
        }
    }

    async fn create(&self, cx: &Context, desired: &Desired) -> Result<Resource, Failure> {
        let input = input(desired)?;
        let name = text(&input, "serviceName").map_or_else(|| desired.generated_name(255), str::to_owned);
        let made = services::make(cx, &name, &input, |service| keep(service, desired))?;
        desired.initiated.report(&made.arn);
        let deployment = made.deployments.first().map(|d| d.id.clone()).unwrap_or_default();
        if let Err(failure) = stable(cx, &made, &deployment, &desired.cancel).await {
            remove(cx, &made.cluster, &made.name).await?;
            return Err(failure);
        }
        Ok(resource(&made))
    }

    async fn update(&self, cx: &Context, arn: &str, previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        let mut input = input(desired)?;
        // A count that the template does not change is left to whoever scales the service.
        if previous.get("DesiredCount") == desired.properties.get("DesiredCount")
            && let Some(input) = input.as_object_mut()
        {
            input.shift_remove("desiredCount");
        }
        if previous.get("CapacityProviderStrategy").is_some() && input.get("capacityProviderStrategy").is_none() {
            input["launchType"] = input.get("launchType").cloned().unwrap_or_else(|| "FARGATE".into());
        }
        // What the template no longer says is no longer wanted.
        for (property, member, none) in [
            ("LoadBalancers", "loadBalancers", serde_json::json!([])),
            ("ServiceRegistries", "serviceRegistries", serde_json::json!([])),
            (
                "HealthCheckGracePeriodSeconds",
                "healthCheckGracePeriodSeconds",
                serde_json::json!(0),
            ),
        ] {
            if previous.get(property).is_some() && input.get(member).is_none() {
                input[member] = none;
            }
        }
        let (cluster, name) = services::place(cx, &input, arn)?;
        let (changed, deployment) = services::change(cx, &cluster, &name, &input, |service| keep(service, desired))?;
        stable(cx, &changed, &deployment.unwrap_or_default(), &desired.cancel).await?;
        Ok(resource(&changed))
    }

    async fn delete(&self, cx: &Context, arn: &str, properties: &Value) -> Result<(), Failure> {
        let Ok((cluster, name)) = services::place(cx, &members(properties), arn) else {
            return Ok(());
        };
        remove(cx, &cluster, &name).await
    }

    async fn read(&self, cx: &Context, arn: &str) -> Result<Option<Value>, Failure> {
        let mut parts = arn.rsplit('/');
        let (name, cluster) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let Some(service) = model::service(cx, cluster, name)?.filter(|s| s.status == "ACTIVE") else {
            return Ok(None);
        };
        let mut live = service.properties.clone();
        if live.get("DesiredCount").is_some() {
            live["DesiredCount"] = service.desired.into();
        }
        if live.get("TaskDefinition").is_some() {
            live["TaskDefinition"] = service.wish.task_definition.clone().into();
        }
        Ok(live.is_object().then_some(live))
    }
}

fn input(desired: &Desired) -> Result<Value, Failure> {
    for property in [
        "ServiceConnectConfiguration",
        "VolumeConfigurations",
        "VpcLatticeConfigurations",
    ] {
        if desired.properties.get(property).is_some() {
            return Err(Failure::new(format!(
                "The embedded endpoint does not support {property} of AWS::ECS::Service."
            )));
        }
    }
    Ok(members(&desired.properties))
}

fn keep(service: &mut Service, desired: &Desired) {
    let own = tags_of(desired.properties.get("Tags").unwrap_or(&Value::Null));
    service.inherited = desired
        .tags
        .iter()
        .map(|(k, _)| k.clone())
        .filter(|k| !own.contains_key(k))
        .collect();
    service.tags = desired.tags.iter().cloned().chain(own).collect();
    service.properties = desired.properties.clone();
}

fn resource(service: &Service) -> Resource {
    Resource::new(service.arn.clone())
        .with("Name", service.name.clone())
        .with("ServiceArn", service.arn.clone())
}

/// Waits until the deployment has completed, or tells why it has not.
async fn stable(cx: &Context, service: &Service, deployment: &str, cancel: &CancellationToken) -> Result<(), Failure> {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Err(Failure::new("Resource creation cancelled")),
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
        let Some(now) = model::service(cx, &service.cluster, &service.name)?.filter(|s| s.status == "ACTIVE") else {
            return Err(Failure::new(format!(
                "The service {} was deleted meanwhile.",
                service.name
            )));
        };
        let Some(found) = now.deployments.iter().find(|d| d.id == deployment) else {
            return Err(Failure::new("The deployment was replaced by another one meanwhile."));
        };
        match found.rollout {
            Rollout::Completed if steady(cx, &now)? => return Ok(()),
            Rollout::Failed => {
                let mut words =
                    "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'.".to_owned();
                if let Some(last) = &found.last_failure {
                    words += &format!(" The last task that stopped: {last}");
                }
                return Err(Failure::new(words));
            }
            _ if tokio::time::Instant::now() > end => {
                let last = found
                    .last_failure
                    .clone()
                    .unwrap_or_else(|| "no task has stopped".into());
                return Err(Failure::new(format!(
                    "The service {} did not stabilize: {last}",
                    service.name
                )));
            }
            _ => {}
        }
    }
}

/// Whether as many tasks run as are desired: a change of the count alone makes no deployment.
fn steady(cx: &Context, service: &Service) -> Result<bool, Failure> {
    let tasks = model::tasks(cx)?;
    let live = tasks
        .iter()
        .filter(|t| t.is_live() && t.cluster == service.cluster && t.service.as_ref() == Some(&service.name));
    let running = live
        .clone()
        .filter(|t| t.last_status == model::Status::Running && !t.stopping)
        .count();
    Ok(running == service.desired as usize && live.count() == running)
}

async fn remove(cx: &Context, cluster: &str, name: &str) -> Result<(), Failure> {
    match services::retire(cx, cluster, name, true) {
        Err(error) if error.code == "ServiceNotFoundException" => return Ok(()),
        Err(error) if error.code != "ServiceNotActiveException" => return Err(error.into()),
        _ => {}
    }
    while model::service(cx, cluster, name)?.is_some_and(|s| s.status != "INACTIVE") {
        cx.extension::<Ecs>().wake.notify_one();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
