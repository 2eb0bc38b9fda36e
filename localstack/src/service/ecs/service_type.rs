//! `AWS::ECS::Service`. An operation is done when the service has reached a steady state.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::members::{lower_camel, text};
use super::model::{self, RolloutState, Service};
use super::services;
use super::state::EcsState;
use crate::records::tags_of;
use crate::{Context, Desired, Failure, Resource, ResourceType, Schema};

/// The time that CloudFormation waits for a service to reach a steady state.
const STABILIZATION_TIMEOUT: Duration = Duration::from_hours(3);

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
        let apply = |service: &mut Service| apply_template(service, desired);
        let created = services::create_service(cx, &name, &input, &desired.initiated, apply)?;
        let deployment = created.deployments.first().map(|d| d.id.clone()).unwrap_or_default();
        if let Err(failure) = wait_until_stable(cx, &created, &deployment, &desired.cancel).await {
            delete_service(cx, &created.cluster, &created.name).await?;
            return Err(failure);
        }
        Ok(resource(&created))
    }

    async fn update(&self, cx: &Context, arn: &str, previous: &Value, desired: &Desired) -> Result<Resource, Failure> {
        let mut input = input(desired)?;
        // A desired count that the template does not change stays as scaling has set it.
        if previous.get("DesiredCount") == desired.properties.get("DesiredCount")
            && let Some(input) = input.as_object_mut()
        {
            input.shift_remove("desiredCount");
        }
        if previous.get("CapacityProviderStrategy").is_some() && input.get("capacityProviderStrategy").is_none() {
            input["launchType"] = input.get("launchType").cloned().unwrap_or_else(|| "FARGATE".into());
        }
        // A property that the template no longer has is reset.
        for (property, member, default) in [
            ("LoadBalancers", "loadBalancers", serde_json::json!([])),
            ("ServiceRegistries", "serviceRegistries", serde_json::json!([])),
            (
                "HealthCheckGracePeriodSeconds",
                "healthCheckGracePeriodSeconds",
                serde_json::json!(0),
            ),
        ] {
            if previous.get(property).is_some() && input.get(member).is_none() {
                input[member] = default;
            }
        }
        let (cluster, name) = services::cluster_and_name(cx, &input, arn)?;
        let apply = |service: &mut Service| apply_template(service, desired);
        let (updated, deployment) = services::update_service(cx, &cluster, &name, &input, apply)?;
        wait_until_stable(cx, &updated, &deployment.unwrap_or_default(), &desired.cancel).await?;
        Ok(resource(&updated))
    }

    async fn delete(&self, cx: &Context, arn: &str, properties: &Value) -> Result<(), Failure> {
        let Ok((cluster, name)) = services::cluster_and_name(cx, &lower_camel(properties), arn) else {
            return Ok(());
        };
        delete_service(cx, &cluster, &name).await
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
            live["TaskDefinition"] = service.spec.task_definition.clone().into();
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
    Ok(lower_camel(&desired.properties))
}

/// Stores the template's tags and properties in a service.
fn apply_template(service: &mut Service, desired: &Desired) {
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

/// Waits until a deployment has completed and the service has its desired tasks.
///
/// # Errors
/// The reason why the service is not stable, with the end of its last task.
async fn wait_until_stable(
    cx: &Context,
    service: &Service,
    deployment: &str,
    cancel: &CancellationToken,
) -> Result<(), Failure> {
    let deadline = tokio::time::Instant::now() + STABILIZATION_TIMEOUT;
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Err(Failure::new("Resource creation cancelled")),
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
        let Some(now) = model::service(cx, &service.cluster, &service.name)?.filter(|s| s.status == "ACTIVE") else {
            return Err(Failure::new(format!(
                "The service {} was deleted during the operation.",
                service.name
            )));
        };
        let Some(found) = now.deployments.iter().find(|d| d.id == deployment) else {
            return Err(Failure::new(
                "Another deployment replaced this one during the operation.",
            ));
        };
        match found.rollout_state {
            RolloutState::Completed if has_desired_tasks(cx, &now)? => return Ok(()),
            RolloutState::Failed => {
                let mut reason = match found.triggered_alarms.as_slice() {
                    [] => "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'.".to_owned(),
                    raised => format!(
                        "Error occurred during operation 'ECS Deployment Alarm was triggered': {}.",
                        raised.join(", ")
                    ),
                };
                if let Some(last) = found
                    .last_failure
                    .as_ref()
                    .filter(|_| found.triggered_alarms.is_empty())
                {
                    reason += &format!(" The last task that stopped: {last}");
                }
                return Err(Failure::new(reason));
            }
            _ if tokio::time::Instant::now() > deadline => {
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

/// Returns true if the service runs its desired count of tasks. A change of the count alone starts no deployment.
fn has_desired_tasks(cx: &Context, service: &Service) -> Result<bool, Failure> {
    let tasks = model::tasks(cx)?;
    let live = tasks.iter().filter(|t| t.is_live() && service.owns(t));
    let running = live
        .clone()
        .filter(|t| t.last_status == model::Status::Running && !t.stopping)
        .count();
    Ok(running == service.desired as usize && live.count() == running)
}

async fn delete_service(cx: &Context, cluster: &str, name: &str) -> Result<(), Failure> {
    match services::drain(cx, cluster, name, true) {
        Err(error) if error.code == "ServiceNotFoundException" => return Ok(()),
        Err(error) if error.code != "ServiceNotActiveException" => return Err(error.into()),
        _ => {}
    }
    while model::service(cx, cluster, name)?.is_some_and(|s| s.status != "INACTIVE") {
        cx.extension::<EcsState>().wake_scheduler();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
