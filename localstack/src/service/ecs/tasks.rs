//! Operations on tasks.

use aws_lc_rs::digest;
use serde_json::{Value, json};

use super::error::invalid_parameter;
use super::members::{self, tag_list, with_next_token};
use super::model::{self, ClientToken, Task};
use super::state::EcsState;
use super::{capacity, fargate, service_spec, task_definition, task_lifecycle};
use crate::records::{page, seconds, tags_of};
use crate::service::Call;
use crate::{AwsError, Context};

pub fn run(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let ecs = cx.extension::<EcsState>();
    let _lock = ecs.lock();
    let cluster = model::cluster(cx, call.text("cluster").as_deref())?.id;
    let spec = service_spec::read(cx, &call.input, None)?;
    let count = call.integer("count").unwrap_or(1);
    if !(1..=10).contains(&count) {
        return Err(invalid_parameter("count must be between 1 and 10."));
    }
    let tags = tags_of(&call.input["tags"]);
    let token = client_token(call);
    if let Some(token) = &token
        && let Some(started) = started_before(cx, &cluster, token)?
    {
        let tasks: Result<Vec<Value>, AwsError> = started.iter().map(|task| description(cx, task)).collect();
        return Ok(json!({"tasks": tasks?, "failures": []}));
    }
    let mut tasks = Vec::new();
    for _ in 0..count {
        if fargate::exceeds_quota(cx, &spec)? {
            return Err(AwsError::new("ClientException", fargate::QUOTA_REACHED));
        }
        let task = task_lifecycle::start(cx, &cluster, &spec, None, &tags, |task| {
            task.started_by = call.text("startedBy");
            task.overrides = call.input.get("overrides").cloned().unwrap_or_else(|| json!({}));
            task.tags.clone_from(&tags);
            task.client_token.clone_from(&token);
        })?;
        tasks.push(description(cx, &task)?);
    }
    Ok(json!({"tasks": tasks, "failures": []}))
}

/// Returns the token of a request, which clients make themselves to repeat it safely.
pub fn client_token(call: &Call) -> Option<ClientToken> {
    let token = call.text("clientToken")?;
    let mut rest = call.input.clone();
    if let Some(members) = rest.as_object_mut() {
        members.shift_remove("clientToken");
    }
    let hash = digest::digest(&digest::SHA256, rest.to_string().as_bytes());
    Some(ClientToken {
        token,
        request: hex::encode(hash),
    })
}

/// Returns the tasks that an earlier request with the same token started.
///
/// # Errors
/// `ConflictException` if that request was another one (Amazon ECS API, `RunTask`).
fn started_before(cx: &Context, cluster: &str, token: &ClientToken) -> Result<Option<Vec<Task>>, AwsError> {
    let mut tasks = model::tasks(cx)?;
    let is_same = |task: &Task| task.client_token.as_ref().is_some_and(|one| one.token == token.token);
    tasks.retain(|task| task.cluster == cluster && is_same(task));
    match tasks.first() {
        None => Ok(None),
        Some(task) if task.client_token.as_ref() == Some(token) => Ok(Some(tasks)),
        Some(_) => Err(AwsError::new(
            "ConflictException",
            "The provided clientToken is already in use with a different RunTask request.",
        )),
    }
}

pub fn stop(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let ecs = cx.extension::<EcsState>();
    let _lock = ecs.lock();
    let cluster = model::cluster(cx, call.text("cluster").as_deref())?.id;
    let task = named(cx, &cluster, &call.required("task")?)?;
    let task = task.ok_or_else(|| invalid_parameter("The referenced task was not found."))?;
    let reason = call.text("reason").unwrap_or_else(|| "Task stopped by user".into());
    task_lifecycle::request_stop(cx, &task.id, "UserInitiated", &reason, false)?;
    let now = model::task(cx, &task.id)?.unwrap_or(task);
    Ok(json!({"task": description(cx, &now)?}))
}

pub fn list(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let cluster = model::cluster(cx, call.text("cluster").as_deref())?.id;
    let service = call.text("serviceName");
    let service = service.as_deref().map(|name| name.rsplit('/').next().unwrap_or(name));
    let family = call.text("family");
    let stopped = call.text("desiredStatus").as_deref() == Some("STOPPED");
    let mut found = model::tasks(cx)?;
    found.retain(|t| {
        t.cluster == cluster
            && t.stopping == stopped
            && service.is_none_or(|s| t.service.as_deref() == Some(s))
            && call.text("startedBy").is_none_or(|s| t.started_by.as_ref() == Some(&s))
            && family
                .as_deref()
                .is_none_or(|f| t.spec.task_definition.contains(&format!("/{f}:")))
    });
    found.sort_by_key(|t| std::cmp::Reverse(t.created));
    let arns: Vec<String> = found.iter().map(|t| t.arn(cx)).collect();
    let limit = call.limit("maxResults", 100, 1..=100);
    let (arns, next) = page(arns, limit, call.text("nextToken").as_deref())?;
    Ok(with_next_token(json!({"taskArns": arns}), next))
}

pub fn describe(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let cluster = model::cluster(cx, call.text("cluster").as_deref())?.id;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in call.texts("tasks") {
        if let Some(task) = named(cx, &cluster, &name)? {
            found.push(description(cx, &task)?);
        } else {
            let arn = if name.starts_with("arn:") {
                name
            } else {
                cx.arn("ecs", &format!("task/{cluster}/{name}"))
            };
            failures.push(json!({"arn": arn, "reason": "MISSING"}));
        }
    }
    Ok(json!({"tasks": found, "failures": failures}))
}

fn named(cx: &Context, cluster: &str, name: &str) -> Result<Option<Task>, AwsError> {
    Ok(model::task(cx, name.rsplit('/').next().unwrap_or(name))?.filter(|t| t.cluster == cluster))
}

fn description(cx: &Context, task: &Task) -> Result<Value, AwsError> {
    let definition = task_definition::named(cx, &task.spec.task_definition)?;
    let arn = task.arn(cx);
    let containers: Vec<Value> = task
        .containers
        .iter()
        .map(|c| {
            let mut shown = json!({
                "containerArn": cx.arn("ecs", &format!("container/{}/{}/{}", task.cluster, task.id, c.name)),
                "taskArn": arn, "name": c.name, "image": c.image, "lastStatus": c.status.name(), "healthStatus": c.health,
                "networkInterfaces": [{"attachmentId": task.id, "privateIpv4Address": task.address.to_string()}],
            });
            for (member, value) in [
                ("exitCode", c.exit_code.map(Value::from)),
                ("reason", c.reason.clone().map(Value::from)),
                ("imageDigest", c.image.split_once('@').map(|(_, digest)| digest.into())),
                ("runtimeId", c.supervisor.map(|s| format!("{}-{}", task.id, s.pid).into())),
            ] {
                if let Some(value) = value {
                    shown[member] = value;
                }
            }
            shown
        })
        .collect();
    let group = match &task.service {
        Some(service) => format!("service:{service}"),
        None => format!("family:{}", members::text(&definition, "family").unwrap_or_default()),
    };
    let mut shown = json!({
        "taskArn": arn, "clusterArn": model::cluster_arn(cx, &task.cluster), "taskDefinitionArn": task.spec.task_definition,
        "lastStatus": task.last_status.name(), "desiredStatus": if task.stopping { "STOPPED" } else { "RUNNING" },
        "group": group, "launchType": task.spec.launch_type,
        "capacityProviderName": capacity::provider(&task.spec.capacity_strategy), "platformVersion": "1.4.0", "platformFamily": "Linux",
        "connectivity": "CONNECTED", "healthStatus": task.health(&definition), "createdAt": seconds(task.created),
        "availabilityZone": format!("{}a", cx.region()), "overrides": task.overrides, "containers": containers,
        "cpu": definition.get("cpu"), "memory": definition.get("memory"), "version": 1, "tags": tag_list(&task.tags),
        "attachments": [{
            "id": task.id, "type": "ElasticNetworkInterface", "status": "ATTACHED",
            "details": [{"name": "privateIPv4Address", "value": task.address.to_string()}],
        }],
    });
    for (member, value) in [
        ("startedAt", task.started.map(seconds)),
        ("stoppingAt", task.stopping_at.map(seconds)),
        ("stoppedAt", task.stopped.map(seconds)),
        ("stopCode", task.stop_code.clone().map(Value::from)),
        ("stoppedReason", task.stopped_reason.clone().map(Value::from)),
        ("startedBy", task.started_by.clone().map(Value::from)),
    ] {
        if let Some(value) = value {
            shown[member] = value;
        }
    }
    Ok(shown)
}
