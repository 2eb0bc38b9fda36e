//! Reads a service's parameters from the API's members and checks them.

use serde_json::{Value, json};

use super::error::invalid_parameter;
use super::members::{boolean, integer, list, text};
use super::spec::{Advanced, LoadBalancer, Registry, ServiceSpec, Strategy};
use super::{capacity, definition_rules, deployment_configuration, task_definition};
use crate::{AwsError, Context};

/// Applies the members of a request to the previous parameters. A member that the request does not have stays as it is.
///
/// # Errors
/// A parameter that ECS rejects or that this endpoint does not support.
pub fn read(cx: &Context, input: &Value, before: Option<&ServiceSpec>) -> Result<ServiceSpec, AwsError> {
    let mut spec = before.cloned().unwrap_or_else(|| ServiceSpec {
        minimum_percent: 100,
        maximum_percent: 200,
        launch_type: "FARGATE".into(),
        propagate_tags: "NONE".into(),
        network: json!({}),
        zone_rebalancing: "ENABLED".into(),
        ..ServiceSpec::default()
    });
    if let Some(controller) = input
        .get("deploymentController")
        .and_then(|c| text(c, "type"))
        .filter(|t| *t != "ECS")
    {
        return Err(invalid_parameter(format!(
            "The embedded endpoint supports the deployment controller ECS only, not {controller}."
        )));
    }
    if let Some(strategy) = text(input, "schedulingStrategy").filter(|s| *s != "REPLICA") {
        return Err(invalid_parameter(format!(
            "The embedded endpoint supports the scheduling strategy REPLICA only, not {strategy}."
        )));
    }
    if let Some(name) = text(input, "taskDefinition") {
        let definition = task_definition::named(cx, name)?;
        if text(&definition, "status") != Some("ACTIVE") {
            return Err(AwsError::new("ClientException", "TaskDefinition is inactive"));
        }
        spec.task_definition = text(&definition, "taskDefinitionArn").unwrap_or_default().into();
    }
    if spec.task_definition.is_empty() {
        return Err(invalid_parameter("TaskDefinition can not be blank."));
    }
    if let Some(deployment) = input.get("deploymentConfiguration") {
        deployment_configuration::read(deployment, &mut spec)?;
    }
    if input.get("loadBalancers").is_some() {
        let balancers = list(input, "loadBalancers").iter().map(load_balancer);
        spec.load_balancers = balancers
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect();
    }
    if input.get("serviceRegistries").is_some() {
        spec.registries = list(input, "serviceRegistries").iter().filter_map(registry).collect();
    }
    if let Some(network) = input.get("networkConfiguration") {
        spec.network = network.clone();
        let vpc = network.get("awsvpcConfiguration").unwrap_or(&Value::Null);
        spec.security_groups = list(vpc, "securityGroups")
            .iter()
            .filter_map(|g| g.as_str().map(str::to_owned))
            .collect();
    }
    if let Some(seconds) = integer(input.get("healthCheckGracePeriodSeconds")) {
        spec.grace_seconds = seconds;
    }
    if let Some(kind) = text(input, "launchType") {
        spec.launch_type = kind.into();
        spec.capacity_strategy = Value::Null;
    }
    if let Some(strategy) = capacity::strategy(cx, input)? {
        spec.capacity_strategy = strategy;
    }
    if let Some(enable) = boolean(input.get("enableExecuteCommand")) {
        spec.enable_execute_command = enable;
    }
    if let Some(from) = text(input, "propagateTags") {
        spec.propagate_tags = from.into();
    }
    if let Some(enable) = boolean(input.get("enableECSManagedTags")) {
        spec.managed_tags = enable;
    }
    if let Some(rebalancing) = text(input, "availabilityZoneRebalancing") {
        if !["ENABLED", "DISABLED"].contains(&rebalancing) {
            return Err(invalid_parameter(format!(
                "availabilityZoneRebalancing must be ENABLED or DISABLED, not {rebalancing}."
            )));
        }
        spec.zone_rebalancing = rebalancing.into();
    }
    check(cx, &spec)?;
    Ok(spec)
}

fn check(cx: &Context, spec: &ServiceSpec) -> Result<(), AwsError> {
    let definition = task_definition::named(cx, &spec.task_definition)?;
    definition_rules::check_runnable(&definition)?;
    if spec.maximum_percent <= spec.minimum_percent && (spec.minimum_percent, spec.maximum_percent) != (0, 0) {
        let both = (spec.minimum_percent, spec.maximum_percent);
        if both.0 >= 100 || both.1 < 100 {
            return Err(invalid_parameter(
                "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.",
            ));
        }
    }
    if spec.strategy != Strategy::Rolling && !spec.load_balancers.iter().any(|b| b.advanced.is_some()) {
        return Err(invalid_parameter(
            "The embedded endpoint moves requests for the strategies BLUE_GREEN, LINEAR and CANARY in a load balancer only: \
             loadBalancers must have advancedConfiguration.",
        ));
    }
    for balancer in &spec.load_balancers {
        let Some(container) = task_definition::container(&definition, &balancer.container) else {
            return Err(invalid_parameter(format!(
                "The container {} does not exist in the task definition.",
                balancer.container
            )));
        };
        let ports = list(container, "portMappings").iter();
        if !ports
            .filter_map(|m| integer(m.get("containerPort")))
            .any(|p| p == i64::from(balancer.port))
        {
            return Err(invalid_parameter(format!(
                "The container {} did not have a container port {} defined.",
                balancer.container, balancer.port
            )));
        }
    }
    if text(&definition, "networkMode") == Some("awsvpc") && spec.network.get("awsvpcConfiguration").is_none() {
        return Err(invalid_parameter(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ));
    }
    Ok(())
}

fn load_balancer(value: &Value) -> Result<Option<LoadBalancer>, AwsError> {
    let advanced = match value.get("advancedConfiguration").filter(|value| !value.is_null()) {
        Some(advanced) => Some(self::advanced(advanced)?),
        None => None,
    };
    let read = || {
        Some(LoadBalancer {
            target_group: text(value, "targetGroupArn")?.to_owned(),
            container: text(value, "containerName")?.to_owned(),
            port: u16::try_from(integer(value.get("containerPort"))?).ok()?,
            advanced,
        })
    };
    Ok(read())
}

fn advanced(value: &Value) -> Result<Advanced, AwsError> {
    if text(value, "testListenerRule").is_some() {
        return Err(invalid_parameter(
            "The embedded endpoint does not support testListenerRule of advancedConfiguration.",
        ));
    }
    let member = |name: &str| {
        text(value, name)
            .map(str::to_owned)
            .ok_or_else(|| invalid_parameter(format!("advancedConfiguration must have {name}.")))
    };
    Ok(Advanced {
        alternate_target_group: member("alternateTargetGroupArn")?,
        production_rule: member("productionListenerRule")?,
        role: member("roleArn")?,
    })
}

fn registry(value: &Value) -> Option<Registry> {
    let port = integer(value.get("containerPort")).or_else(|| integer(value.get("port")));
    Some(Registry {
        arn: text(value, "registryArn")?.to_owned(),
        port: port.and_then(|p| u16::try_from(p).ok()),
    })
}
