//! What a caller says about a service, read from the API's members.

use serde_json::{Value, json};

use super::model::{LoadBalancer, Registry, Wish};
use super::shape::{flag, list, text, whole};
use super::{capacity, invalid, task_definition};
use crate::{AwsError, Context};

/// Lays what is said over what was: members that are not mentioned stay.
pub fn read(cx: &Context, input: &Value, before: Option<&Wish>) -> Result<Wish, AwsError> {
    let mut wish = before.cloned().unwrap_or_else(|| Wish {
        minimum_percent: 100,
        maximum_percent: 200,
        launch_type: "FARGATE".into(),
        propagate_tags: "NONE".into(),
        network: json!({}),
        ..Wish::default()
    });
    if let Some(controller) = input
        .get("deploymentController")
        .and_then(|c| text(c, "type"))
        .filter(|t| *t != "ECS")
    {
        return Err(invalid(format!(
            "The embedded endpoint has the deployment controller ECS only, not {controller}."
        )));
    }
    if let Some(strategy) = text(input, "schedulingStrategy").filter(|s| *s != "REPLICA") {
        return Err(invalid(format!(
            "The embedded endpoint has the scheduling strategy REPLICA only, not {strategy}."
        )));
    }
    if let Some(name) = text(input, "taskDefinition") {
        let definition = task_definition::named(cx, name)?;
        if text(&definition, "status") != Some("ACTIVE") {
            return Err(AwsError::new("ClientException", "TaskDefinition is inactive"));
        }
        wish.task_definition = text(&definition, "taskDefinitionArn").unwrap_or_default().to_owned();
    }
    if wish.task_definition.is_empty() {
        return Err(invalid("TaskDefinition can not be blank."));
    }
    if let Some(deployment) = input.get("deploymentConfiguration") {
        let percent = |member: &str| whole(deployment.get(member)).and_then(|n| u32::try_from(n).ok());
        wish.minimum_percent = percent("minimumHealthyPercent").unwrap_or(wish.minimum_percent);
        wish.maximum_percent = percent("maximumPercent").unwrap_or(wish.maximum_percent);
        if let Some(breaker) = deployment.get("deploymentCircuitBreaker") {
            wish.breaker = flag(breaker.get("enable")).unwrap_or(false);
            wish.rollback = flag(breaker.get("rollback")).unwrap_or(false);
        }
    }
    if input.get("loadBalancers").is_some() {
        wish.load_balancers = list(input, "loadBalancers").iter().filter_map(load_balancer).collect();
    }
    if input.get("serviceRegistries").is_some() {
        wish.registries = list(input, "serviceRegistries").iter().filter_map(registry).collect();
    }
    if let Some(network) = input.get("networkConfiguration") {
        wish.network = network.clone();
        let vpc = network.get("awsvpcConfiguration").unwrap_or(&Value::Null);
        wish.security_groups = list(vpc, "securityGroups")
            .iter()
            .filter_map(|g| g.as_str().map(str::to_owned))
            .collect();
    }
    if let Some(seconds) = whole(input.get("healthCheckGracePeriodSeconds")) {
        wish.grace_seconds = seconds;
    }
    if let Some(kind) = text(input, "launchType") {
        wish.launch_type = kind.to_owned();
        wish.capacity = Value::Null;
    }
    if let Some(strategy) = capacity::strategy(cx, input)? {
        wish.capacity = strategy;
    }
    if let Some(enable) = flag(input.get("enableExecuteCommand")) {
        wish.enable_execute_command = enable;
    }
    if let Some(from) = text(input, "propagateTags") {
        wish.propagate_tags = from.to_owned();
    }
    checked(cx, wish)
}

fn checked(cx: &Context, wish: Wish) -> Result<Wish, AwsError> {
    let definition = task_definition::named(cx, &wish.task_definition)?;
    if wish.maximum_percent <= wish.minimum_percent && (wish.minimum_percent, wish.maximum_percent) != (0, 0) {
        let both = (wish.minimum_percent, wish.maximum_percent);
        if both.0 >= 100 || both.1 < 100 {
            return Err(invalid(
                "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.",
            ));
        }
    }
    for balancer in &wish.load_balancers {
        let Some(container) = task_definition::container(&definition, &balancer.container) else {
            return Err(invalid(format!(
                "The container {} does not exist in the task definition.",
                balancer.container
            )));
        };
        let ports = list(container, "portMappings").iter();
        if !ports
            .filter_map(|m| whole(m.get("containerPort")))
            .any(|p| p == i64::from(balancer.port))
        {
            return Err(invalid(format!(
                "The container {} did not have a container port {} defined.",
                balancer.container, balancer.port
            )));
        }
    }
    if text(&definition, "networkMode") == Some("awsvpc") && wish.network.get("awsvpcConfiguration").is_none() {
        return Err(invalid(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ));
    }
    Ok(wish)
}

fn load_balancer(value: &Value) -> Option<LoadBalancer> {
    Some(LoadBalancer {
        target_group: text(value, "targetGroupArn")?.to_owned(),
        container: text(value, "containerName")?.to_owned(),
        port: u16::try_from(whole(value.get("containerPort"))?).ok()?,
    })
}

fn registry(value: &Value) -> Option<Registry> {
    let port = whole(value.get("containerPort")).or_else(|| whole(value.get("port")));
    Some(Registry {
        arn: text(value, "registryArn")?.to_owned(),
        port: port.and_then(|p| u16::try_from(p).ok()),
    })
}
