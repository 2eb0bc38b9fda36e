//! The metadata endpoint of tasks ("Amazon ECS task metadata endpoint version 4 for tasks on Fargate").
//!
//! ECS serves it at 169.254.170.2, which tasks of this endpoint cannot reach: their environment has a URL on loopback, as for credentials.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::members::{integer, list, text};
use super::model::{self, ContainerState, Task};
use super::state::EcsState;
use super::{fargate, task_definition};
use crate::runtime::task::process::Container;
use crate::{AwsError, Context};

/// The HTTP route of a container's metadata.
pub const ROUTE: &str = "/_localstack/tasks/{task}/metadata/{version}/{container}";
/// The HTTP route of what is below it: `task`, `stats` and `task/stats`.
pub const ROUTE_BELOW: &str = "/_localstack/tasks/{task}/metadata/{version}/{container}/{*what}";

/// Returns the environment variables with which programs find the metadata. Version 3 has a part of the members of version 4, and gets the same
/// documents.
pub fn variables(cx: &Context, task: &Task, container: &str) -> Vec<(String, String)> {
    let url = |version: &str| {
        let path = ROUTE.replace("{task}", &task.id).replace("{version}", version);
        format!(
            "http://127.0.0.1:{}{}",
            cx.config().port,
            path.replace("{container}", container)
        )
    };
    vec![
        ("ECS_CONTAINER_METADATA_URI".into(), url("v3")),
        ("ECS_CONTAINER_METADATA_URI_V4".into(), url("v4")),
        // "Fargate task environment variables".
        ("AWS_EXECUTION_ENV".into(), "AWS_ECS_FARGATE".into()),
    ]
}

/// Handles a request for the metadata of a container.
pub async fn of_container(
    State(cx): State<Context>,
    Path((task, version, container)): Path<(String, String, String)>,
) -> Response<axum::body::Body> {
    respond(&cx, &task, &version, &container, "")
}

/// Handles a request for other metadata.
pub async fn below(
    State(cx): State<Context>,
    Path((task, version, container, what)): Path<(String, String, String, String)>,
) -> Response<axum::body::Body> {
    respond(&cx, &task, &version, &container, &what)
}

fn respond(cx: &Context, task: &str, version: &str, container: &str, what: &str) -> Response<axum::body::Body> {
    match document(cx, task, version, container, what) {
        Ok(Some(document)) => Json(document).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.message).into_response(),
    }
}

fn document(cx: &Context, id: &str, version: &str, name: &str, what: &str) -> Result<Option<Value>, AwsError> {
    let found = model::live_task(cx, id)?.filter(|_| matches!(version, "v3" | "v4"));
    let Some((cx, task)) = found else {
        return Ok(None);
    };
    let cx = &cx;
    let Some(state) = task.containers.iter().find(|one| one.name == name) else {
        return Ok(None);
    };
    let definition = task_definition::named(cx, &task.spec.task_definition)?;
    Ok(match what {
        "" => Some(container(cx, &task, &definition, state)),
        "task" => Some(whole(cx, &task, &definition)),
        "stats" => Some(stats(cx, &task, &definition, state)),
        "task/stats" => {
            let each = task.containers.iter();
            Some(
                each.map(|one| (runtime_id(&task, one), stats(cx, &task, &definition, one)))
                    .collect(),
            )
        }
        _ => None,
    })
}

fn whole(cx: &Context, task: &Task, definition: &Value) -> Value {
    let mut document = json!({
        "Cluster": model::cluster_arn(cx, &task.cluster), "TaskARN": task.arn(cx), "Family": text(definition, "family"),
        "Revision": definition["revision"].to_string(), "DesiredStatus": desired(task), "KnownStatus": task.last_status.name(),
        "Limits": {"CPU": fargate::vcpus(definition), "Memory": fargate::memory(definition)},
        "AvailabilityZone": format!("{}a", cx.region()), "LaunchType": "FARGATE",
        "Containers": task.containers.iter().map(|one| container(cx, task, definition, one)).collect::<Vec<_>>(),
    });
    if let Some(service) = &task.service {
        document["ServiceName"] = service.as_str().into();
    }
    document
}

fn container(cx: &Context, task: &Task, definition: &Value, state: &ContainerState) -> Value {
    let of_definition = task_definition::container(definition, &state.name)
        .cloned()
        .unwrap_or_default();
    let mut labels = json!({
        "com.amazonaws.ecs.cluster": model::cluster_arn(cx, &task.cluster), "com.amazonaws.ecs.container-name": state.name,
        "com.amazonaws.ecs.task-arn": task.arn(cx), "com.amazonaws.ecs.task-definition-family": text(definition, "family"),
        "com.amazonaws.ecs.task-definition-version": definition["revision"].to_string(),
    });
    for (key, value) in of_definition
        .get("dockerLabels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        labels[key] = value.clone();
    }
    let mut limits = json!({"CPU": integer(of_definition.get("cpu")).unwrap_or(0)});
    if let Some(memory) = integer(of_definition.get("memory")) {
        limits["Memory"] = memory.into();
    }
    let mut document = json!({
        "DockerId": runtime_id(task, state), "Name": state.name, "DockerName": state.name, "Image": state.image, "Labels": labels,
        "DesiredStatus": desired(task), "KnownStatus": state.status.name(), "Limits": limits, "CreatedAt": date(task.created),
        "Type": "NORMAL", "ContainerARN": cx.arn("ecs", &format!("container/{}/{}/{}", task.cluster, task.id, state.name)),
        "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": [task.address.to_string()], "AttachmentIndex": 0}],
        "Ports": ports(&of_definition),
    });
    for (member, value) in [
        ("StartedAt", task.started.map(|at| date(at).into())),
        ("ExitCode", state.exit_code.map(Value::from)),
        ("ImageID", state.image.split_once('@').map(|(_, digest)| digest.into())),
        (
            "LogDriver",
            of_definition.pointer("/logConfiguration/logDriver").cloned(),
        ),
        (
            "LogOptions",
            of_definition.pointer("/logConfiguration/options").cloned(),
        ),
        (
            "Health",
            of_definition
                .get("healthCheck")
                .map(|_| json!({"status": state.health})),
        ),
    ] {
        if let Some(value) = value {
            document[member] = value;
        }
    }
    document
}

fn ports(container: &Value) -> Value {
    let mappings = list(container, "portMappings").iter();
    let each =
        mappings.map(|mapping| json!({"ContainerPort": mapping["containerPort"], "Protocol": mapping["protocol"]}));
    each.collect()
}

/// Returns the part of Docker's statistics that is measured here: memory and processes.
fn stats(cx: &Context, task: &Task, definition: &Value, state: &ContainerState) -> Value {
    let folder = model::task_folder(cx, &task.id).join(&state.name);
    let Some(supervisor) = state.supervisor else {
        return Value::Null;
    };
    let running = Container { folder, supervisor };
    let usage = cx.extension::<EcsState>().memory_usage();
    let own = task_definition::container(definition, &state.name).and_then(|one| integer(one.get("memory")));
    let limit = own.or(fargate::memory(definition)).unwrap_or_default();
    json!({
        "read": date(crate::records::now()), "id": runtime_id(task, state), "name": state.name,
        "memory_stats": {"usage": usage.of(&running), "limit": limit << 20},
        "pids_stats": {"current": usage.count(&running)},
    })
}

fn runtime_id(task: &Task, state: &ContainerState) -> String {
    format!(
        "{}-{}",
        task.id,
        state.supervisor.map_or(0, |supervisor| supervisor.pid)
    )
}

fn desired(task: &Task) -> &'static str {
    if task.stopping { "STOPPED" } else { "RUNNING" }
}

fn date(milliseconds: i64) -> String {
    let nanoseconds = i128::from(milliseconds) * 1_000_000;
    let date = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    date.format(&Rfc3339).unwrap_or_default()
}
