//! Operations on services.

use serde_json::{Value, json};

use super::error::invalid_parameter;
use super::members::{boolean, integer, tag_list, text, with_next_token};
use super::model::{self, Deployment, Service, ShiftStage, Status, Task};
use super::spec::{LoadBalancer, ServiceSpec};
use super::state::EcsState;
use super::tasks::client_token;
use super::{capacity, deployment_configuration, deployments, service_spec, traffic_shift};
use crate::records::{now, page, seconds, tags_of};
use crate::service::Call;
use crate::{AwsError, Context, Initiated};

pub fn create(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let name = call.required("serviceName")?;
    let token = client_token(call);
    let adjust = |service: &mut Service| service.client_token.clone_from(&token);
    let created = create_service(cx, &name, &call.input, &Initiated::default(), adjust)?;
    Ok(json!({"service": description(cx, &created, &model::tasks(cx)?)}))
}

/// Checks and stores a new service. The scheduler starts its tasks.
pub fn create_service(
    cx: &Context,
    name: &str,
    input: &Value,
    initiated: &Initiated,
    adjust: impl FnOnce(&mut Service),
) -> Result<Service, AwsError> {
    let ecs = cx.extension::<EcsState>();
    let _lock = ecs.lock();
    let cluster = model::cluster(cx, text(input, "cluster"))?.id;
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) || name.is_empty() || name.len() > 255 {
        return Err(invalid_parameter(format!("Invalid service name: {name}")));
    }
    let existing = model::service(cx, &cluster, name)?.filter(|existing| existing.status != "INACTIVE");
    let spec = service_spec::read(cx, input, None)?;
    let mut service = Service {
        arn: cx.arn("ecs", &format!("service/{cluster}/{name}")),
        name: name.into(),
        cluster,
        status: "ACTIVE".into(),
        desired: desired_count(input)?.unwrap_or(1),
        spec: ServiceSpec::default(),
        deployments: Vec::new(),
        events: Vec::new(),
        tags: tags_of(input.get("tags").unwrap_or(&Value::Null)),
        inherited: Vec::new(),
        properties: Value::Null,
        created: now(),
        client_token: None,
    };
    deployments::start_deployment(&mut service, spec);
    adjust(&mut service);
    match existing {
        // A repeated request (Amazon ECS API, `CreateService`, "clientToken")
        Some(existing) if existing.client_token.is_some() && existing.client_token == service.client_token => {
            return Ok(existing);
        }
        Some(_) => return Err(invalid_parameter("Creation of service was not idempotent.")),
        None => {}
    }
    cx.store().transaction(|| -> Result<_, AwsError> {
        service.put(cx)?;
        Ok(initiated.report(&service.arn)?)
    })?;
    ecs.wake_scheduler();
    Ok(service)
}

pub fn update(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (cluster, name) = cluster_and_name(cx, &call.input, &call.required("service")?)?;
    let updated = update_service(cx, &cluster, &name, &call.input, |_| {})?.0;
    Ok(json!({"service": description(cx, &updated, &model::tasks(cx)?)}))
}

/// Updates a service and returns it with the ID of the deployment that must complete for the update to be done.
pub fn update_service(
    cx: &Context,
    cluster: &str,
    name: &str,
    input: &Value,
    adjust: impl FnOnce(&mut Service),
) -> Result<(Service, Option<String>), AwsError> {
    let ecs = cx.extension::<EcsState>();
    let _lock = ecs.lock();
    let mut service = active(cx, cluster, name)?;
    let spec = service_spec::read(cx, input, Some(&service.spec))?;
    if let Some(count) = desired_count(input)? {
        service.desired = count;
    }
    let forced = boolean(input.get("forceNewDeployment")) == Some(true);
    if forced || needs_deployment(&service.spec, &spec) {
        deployments::start_deployment(&mut service, spec);
    } else {
        deployments::prune_failed_deployments(&mut service);
        if service.spec != spec {
            service.spec = spec.clone();
            if let Some(primary) = service.deployments.first_mut() {
                primary.spec = spec;
            }
        }
    }
    adjust(&mut service);
    service.put(cx)?;
    ecs.wake_scheduler();
    let deployment = service.deployments.first().map(|d| d.id.clone());
    Ok((service, deployment))
}

/// Returns true if a change requires new tasks.
fn needs_deployment(before: &ServiceSpec, after: &ServiceSpec) -> bool {
    before.task_definition != after.task_definition
        || before.load_balancers != after.load_balancers
        || before.registries != after.registries
        || before.network != after.network
        || before.capacity_strategy != after.capacity_strategy
        || before.enable_execute_command != after.enable_execute_command
}

pub fn delete(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let (cluster, name) = cluster_and_name(cx, &call.input, &call.required("service")?)?;
    let force = call.boolean("force").unwrap_or(false);
    let draining = drain(cx, &cluster, &name, force)?;
    Ok(json!({"service": description(cx, &draining, &model::tasks(cx)?)}))
}

/// Starts the deletion of a service: the scheduler stops its tasks and then sets it to `INACTIVE`.
pub fn drain(cx: &Context, cluster: &str, name: &str, force: bool) -> Result<Service, AwsError> {
    let ecs = cx.extension::<EcsState>();
    let _lock = ecs.lock();
    let mut service = active(cx, cluster, name)?;
    if service.desired > 0 && !force {
        return Err(invalid_parameter(
            "The service cannot be stopped while it is scaled above 0.",
        ));
    }
    service.status = "DRAINING".into();
    service.desired = 0;
    service.put(cx)?;
    ecs.wake_scheduler();
    Ok(service)
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let cluster = model::cluster(cx, call.text("cluster").as_deref())?.id;
    let tasks = model::tasks(cx)?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in call.texts("services") {
        if let Some(service) = model::service(cx, &cluster, name.rsplit('/').next().unwrap_or(&name))? {
            found.push(description(cx, &service, &tasks));
        } else {
            let arn = if name.starts_with("arn:") {
                name
            } else {
                cx.arn("ecs", &format!("service/{cluster}/{name}"))
            };
            failures.push(json!({"arn": arn, "reason": "MISSING"}));
        }
    }
    Ok(json!({"services": found, "failures": failures}))
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let cluster = model::cluster(cx, call.text("cluster").as_deref())?.id;
    let all = model::services(cx)?;
    let arns: Vec<String> = all
        .into_iter()
        .filter(|s| s.cluster == cluster && s.status != "INACTIVE")
        .map(|s| s.arn)
        .collect();
    let limit = call.limit("maxResults", 10, 1..=100);
    let (arns, next) = page(arns, limit, call.text("nextToken").as_deref())?;
    Ok(with_next_token(json!({"serviceArns": arns}), next))
}

/// Returns the names of the cluster and the service, from a name or an ARN.
pub fn cluster_and_name(cx: &Context, input: &Value, service: &str) -> Result<(String, String), AwsError> {
    let parts: Vec<&str> = service.split('/').collect();
    match parts.as_slice() {
        [prefix, cluster, name] if prefix.starts_with("arn:") => Ok(((*cluster).into(), (*name).into())),
        _ => {
            let cluster = model::cluster(cx, text(input, "cluster"))?.id;
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
    match integer(input.get("desiredCount")) {
        None => Ok(None),
        Some(count) => u32::try_from(count)
            .ok()
            .filter(|c| *c <= 1000)
            .map(Some)
            .ok_or_else(|| invalid_parameter(format!("desiredCount must be between 0 and 1000, not {count}."))),
    }
}

fn description(cx: &Context, service: &Service, tasks: &[Task]) -> Value {
    let own: Vec<&Task> = tasks.iter().filter(|t| service.owns(t)).collect();
    let count = |deployment: Option<&str>, has_status: &dyn Fn(Status) -> bool| {
        let of_deployment = |t: &&&Task| deployment.is_none_or(|id| t.deployment.as_deref() == Some(id));
        own.iter()
            .filter(of_deployment)
            .filter(|t| has_status(t.last_status))
            .count()
    };
    let running = |s: Status| s == Status::Running;
    let pending = |s: Status| s < Status::Running;
    let former = traffic_shift::in_progress(service)
        .filter(|shift| shift.stage != ShiftStage::CleanUp)
        .and_then(|_| traffic_shift::former(service));
    let deployment = |(n, d): (usize, &Deployment)| {
        json!({
            "id": d.id, "status": if n == 0 { "PRIMARY" } else { "ACTIVE" },
            "taskDefinition": d.spec.task_definition,
            "desiredCount": if n == 0 || former == Some(n) { service.desired } else { 0 },
            "runningCount": count(Some(&d.id), &running), "pendingCount": count(Some(&d.id), &pending),
            "failedTasks": d.failed_tasks, "createdAt": seconds(d.created), "updatedAt": seconds(d.updated),
            "launchType": capacity::launch_type(&d.spec), "capacityProviderStrategy": d.spec.capacity_strategy,
            "networkConfiguration": d.spec.network,
            "rolloutState": d.rollout_state.name(), "rolloutStateReason": d.reason,
        })
    };
    let spec = &service.spec;
    let events: Vec<Value> = service
        .events
        .iter()
        .map(|e| json!({"id": e.id, "createdAt": seconds(e.at), "message": e.message}))
        .collect();
    let balancers: Vec<Value> = spec.load_balancers.iter().map(load_balancer).collect();
    let registries: Vec<Value> = spec.registries.iter().map(|r| json!({"registryArn": r.arn})).collect();
    json!({
        "serviceArn": service.arn, "serviceName": service.name, "status": service.status,
        "clusterArn": model::cluster_arn(cx, &service.cluster), "desiredCount": service.desired,
        "runningCount": count(None, &running), "pendingCount": count(None, &pending),
        "taskDefinition": spec.task_definition, "launchType": capacity::launch_type(spec),
        "capacityProviderStrategy": spec.capacity_strategy, "platformVersion": "1.4.0",
        "platformFamily": "Linux", "schedulingStrategy": "REPLICA", "deploymentController": {"type": "ECS"},
        "deploymentConfiguration": deployment_configuration::describe(spec),
        "deployments": service.deployments.iter().enumerate().map(deployment).collect::<Vec<_>>(),
        "loadBalancers": balancers, "serviceRegistries": registries, "networkConfiguration": spec.network,
        "healthCheckGracePeriodSeconds": spec.grace_seconds, "events": events, "createdAt": seconds(service.created),
        "enableExecuteCommand": spec.enable_execute_command, "propagateTags": spec.propagate_tags,
        "enableECSManagedTags": spec.managed_tags,
        "availabilityZoneRebalancing": if spec.zone_rebalancing.is_empty() { "DISABLED" } else { &spec.zone_rebalancing },
        "placementConstraints": [], "placementStrategy": [],
        "tags": tag_list(&service.tags),
    })
}

fn load_balancer(balancer: &LoadBalancer) -> Value {
    let mut shown = json!({
        "targetGroupArn": balancer.target_group, "containerName": balancer.container, "containerPort": balancer.port,
    });
    if let Some(advanced) = &balancer.advanced {
        shown["advancedConfiguration"] = json!({
            "alternateTargetGroupArn": advanced.alternate_target_group,
            "productionListenerRule": advanced.production_rule, "roleArn": advanced.role,
        });
    }
    shown
}
