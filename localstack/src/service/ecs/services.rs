//! The operations on services.

use serde_json::{Value, json};

use super::model::{self, Deployment, Service, Status, Task, Wish};
use super::{Ecs, capacity, cluster, invalid, scheduler, shape, tag_list, wish};
use crate::records::{now, page, seconds, tags_of};
use crate::service::Call;
use crate::{AwsError, Context};

pub fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("serviceName")?;
    let made = make(cx, &name, &call.input, |_| {})?;
    Ok(json!({"service": description(cx, &made, &model::tasks(cx)?)}))
}

/// Checks and keeps a new service; the scheduler does the rest.
pub fn make(cx: &Context, name: &str, input: &Value, adjust: impl FnOnce(&mut Service)) -> Result<Service, AwsError> {
    let ecs = cx.extension::<Ecs>();
    let _held = ecs.hold();
    let cluster = cluster::named(cx, shape::text(input, "cluster"))?.id;
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) || name.is_empty() || name.len() > 255 {
        return Err(invalid(format!("Invalid service name: {name}")));
    }
    if model::service(cx, &cluster, name)?.is_some_and(|there| there.status != "INACTIVE") {
        return Err(invalid("Creation of service was not idempotent."));
    }
    let wish = wish::read(cx, input, None)?;
    let mut service = Service {
        arn: cx.arn("ecs", &format!("service/{cluster}/{name}")),
        name: name.into(),
        cluster,
        status: "ACTIVE".into(),
        desired: desired_count(input)?.unwrap_or(1),
        wish: Wish::default(),
        deployments: Vec::new(),
        events: Vec::new(),
        tags: tags_of(input.get("tags").unwrap_or(&Value::Null)),
        inherited: Vec::new(),
        properties: Value::Null,
        created: now(),
    };
    scheduler::deploy(&mut service, wish);
    adjust(&mut service);
    service.put(cx)?;
    ecs.wake.notify_one();
    Ok(service)
}

pub fn update(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (cluster, name) = place(cx, &call.input, &call.required("service")?)?;
    let changed = change(cx, &cluster, &name, &call.input, |_| {})?.0;
    Ok(json!({"service": description(cx, &changed, &model::tasks(cx)?)}))
}

/// Lays `input` over a service; gives the id of the deployment that must complete for the change to be done.
pub fn change(
    cx: &Context,
    cluster: &str,
    name: &str,
    input: &Value,
    adjust: impl FnOnce(&mut Service),
) -> Result<(Service, Option<String>), AwsError> {
    let ecs = cx.extension::<Ecs>();
    let _held = ecs.hold();
    let mut service = active(cx, cluster, name)?;
    let wish = wish::read(cx, input, Some(&service.wish))?;
    if let Some(count) = desired_count(input)? {
        service.desired = count;
    }
    let forced = shape::flag(input.get("forceNewDeployment")) == Some(true);
    if forced || needs_deployment(&service.wish, &wish) {
        scheduler::deploy(&mut service, wish);
    } else {
        scheduler::forget_failures(&mut service);
        if service.wish != wish {
            service.wish = wish.clone();
            if let Some(primary) = service.deployments.first_mut() {
                primary.wish = wish;
            }
        }
    }
    adjust(&mut service);
    service.put(cx)?;
    ecs.wake.notify_one();
    let deployment = service.deployments.first().map(|d| d.id.clone());
    Ok((service, deployment))
}

/// Whether a change concerns the tasks themselves.
fn needs_deployment(before: &Wish, after: &Wish) -> bool {
    before.task_definition != after.task_definition
        || before.load_balancers != after.load_balancers
        || before.registries != after.registries
        || before.network != after.network
        || before.capacity != after.capacity
        || before.enable_execute_command != after.enable_execute_command
}

pub fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (cluster, name) = place(cx, &call.input, &call.required("service")?)?;
    let force = call.boolean("force").unwrap_or(false);
    let gone = retire(cx, &cluster, &name, force)?;
    Ok(json!({"service": description(cx, &gone, &model::tasks(cx)?)}))
}

/// Begins to take a service down.
pub fn retire(cx: &Context, cluster: &str, name: &str, force: bool) -> Result<Service, AwsError> {
    let ecs = cx.extension::<Ecs>();
    let _held = ecs.hold();
    let mut service = active(cx, cluster, name)?;
    if service.desired > 0 && !force {
        return Err(invalid("The service cannot be stopped while it is scaled above 0."));
    }
    service.status = "DRAINING".into();
    service.desired = 0;
    service.put(cx)?;
    ecs.wake.notify_one();
    Ok(service)
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let cluster = cluster::named(cx, call.text("cluster").as_deref())?.id;
    let tasks = model::tasks(cx)?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in call.texts("services") {
        match model::service(cx, &cluster, name.rsplit('/').next().unwrap_or(&name))? {
            Some(service) => found.push(description(cx, &service, &tasks)),
            None => {
                let arn = if name.starts_with("arn:") {
                    name
                } else {
                    cx.arn("ecs", &format!("service/{cluster}/{name}"))
                };
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
    }
    Ok(json!({"services": found, "failures": failures}))
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let cluster = cluster::named(cx, call.text("cluster").as_deref())?.id;
    let all = model::services(cx)?;
    let arns: Vec<String> = all
        .into_iter()
        .filter(|s| s.cluster == cluster && s.status != "INACTIVE")
        .map(|s| s.arn)
        .collect();
    let limit = call.integer("maxResults").unwrap_or(10).clamp(1, 100) as usize;
    let (arns, next) = page(arns, limit, call.text("nextToken").as_deref())?;
    Ok(super::with_token(json!({"serviceArns": arns}), next))
}

/// The cluster's and the service's names, from a name or an ARN.
pub fn place(cx: &Context, input: &Value, service: &str) -> Result<(String, String), AwsError> {
    let parts: Vec<&str> = service.split('/').collect();
    match parts.as_slice() {
        [prefix, cluster, name] if prefix.starts_with("arn:") => Ok(((*cluster).into(), (*name).into())),
        _ => {
            let cluster = cluster::named(cx, shape::text(input, "cluster"))?.id;
            Ok((cluster, parts.last().copied().unwrap_or(service).into()))
        }
    }
}

fn active(cx: &Context, cluster: &str, name: &str) -> Result<Service, AwsError> {
    match model::service(cx, cluster, name)? {
        None => Err(AwsError::new("ServiceNotFoundException", "Service not found.")),
        Some(service) if service.status == "ACTIVE" => Ok(service),
        Some(_) => Err(AwsError::new("ServiceNotActiveException", "Service was not ACTIVE.")),
    }
}

fn desired_count(input: &Value) -> Result<Option<u32>, AwsError> {
    match shape::whole(input.get("desiredCount")) {
        None => Ok(None),
        Some(count) => u32::try_from(count)
            .ok()
            .filter(|c| *c <= 1000)
            .map(Some)
            .ok_or_else(|| invalid(format!("desiredCount must be between 0 and 1000, not {count}."))),
    }
}

fn description(cx: &Context, service: &Service, tasks: &[Task]) -> Value {
    let mine: Vec<&Task> = tasks
        .iter()
        .filter(|t| t.cluster == service.cluster && t.service.as_ref() == Some(&service.name))
        .collect();
    let count = |of: Option<&str>, wanted: &dyn Fn(Status) -> bool| {
        let of_deployment = |t: &&&Task| of.is_none_or(|id| t.deployment.as_deref() == Some(id));
        mine.iter()
            .filter(of_deployment)
            .filter(|t| wanted(t.last_status))
            .count()
    };
    let running = |s: Status| s == Status::Running;
    let pending = |s: Status| s < Status::Running;
    let deployment = |(n, d): (usize, &Deployment)| {
        json!({
            "id": d.id, "status": if n == 0 { "PRIMARY" } else { "ACTIVE" },
            "taskDefinition": d.wish.task_definition, "desiredCount": if n == 0 { service.desired } else { 0 },
            "runningCount": count(Some(&d.id), &running), "pendingCount": count(Some(&d.id), &pending),
            "failedTasks": d.failed_tasks, "createdAt": seconds(d.created), "updatedAt": seconds(d.updated),
            "launchType": capacity::launch_type(&d.wish), "capacityProviderStrategy": d.wish.capacity,
            "networkConfiguration": d.wish.network,
            "rolloutState": d.rollout.name(), "rolloutStateReason": d.reason,
        })
    };
    let wish = &service.wish;
    let events: Vec<Value> = service
        .events
        .iter()
        .map(|e| json!({"id": e.id, "createdAt": seconds(e.at), "message": e.message}))
        .collect();
    let balancers: Vec<Value> = wish
        .load_balancers
        .iter()
        .map(|b| json!({"targetGroupArn": b.target_group, "containerName": b.container, "containerPort": b.port}))
        .collect();
    let registries: Vec<Value> = wish.registries.iter().map(|r| json!({"registryArn": r.arn})).collect();
    json!({
        "serviceArn": service.arn, "serviceName": service.name, "status": service.status,
        "clusterArn": cluster::arn(cx, &service.cluster), "desiredCount": service.desired,
        "runningCount": count(None, &running), "pendingCount": count(None, &pending),
        "taskDefinition": wish.task_definition, "launchType": capacity::launch_type(wish),
        "capacityProviderStrategy": wish.capacity, "platformVersion": "1.4.0",
        "platformFamily": "Linux", "schedulingStrategy": "REPLICA", "deploymentController": {"type": "ECS"},
        "deploymentConfiguration": {
            "minimumHealthyPercent": wish.minimum_percent, "maximumPercent": wish.maximum_percent,
            "deploymentCircuitBreaker": {"enable": wish.breaker, "rollback": wish.rollback},
        },
        "deployments": service.deployments.iter().enumerate().map(deployment).collect::<Vec<_>>(),
        "loadBalancers": balancers, "serviceRegistries": registries, "networkConfiguration": wish.network,
        "healthCheckGracePeriodSeconds": wish.grace_seconds, "events": events, "createdAt": seconds(service.created),
        "enableExecuteCommand": wish.enable_execute_command, "propagateTags": wish.propagate_tags,
        "enableECSManagedTags": false, "placementConstraints": [], "placementStrategy": [],
        "tags": tag_list(&service.tags),
    })
}
