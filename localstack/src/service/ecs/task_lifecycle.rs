//! The lifecycle of a task: start its containers, monitor them, and stop them.

use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::members::{list, text};
use super::model::{self, ContainerState, Status, Task, update_task};
use super::spec::ServiceSpec;
use super::state::EcsState;
use super::task_containers::{self, End, TaskContainers};
use super::{service_discovery, task_definition};
use crate::records::now;
use crate::runtime::load_balancer::LoadBalancers;
use crate::runtime::task::process::Container;
use crate::{AwsError, Context};

/// The pause before the monitor of a task is started again.
const MONITOR_RESTART: Duration = Duration::from_millis(500);
const COUNTERS: &str = "ecs.counters";

/// The reason for the end of a task.
struct TaskEnd {
    code: &'static str,
    reason: String,
    failed: bool,
}

impl TaskEnd {
    /// The task was asked to stop; its record already has the reason.
    fn requested() -> Self {
        Self {
            code: "UserInitiated",
            reason: String::new(),
            failed: false,
        }
    }

    fn failed(code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            failed: true,
        }
    }
}

/// Stores a new task and starts it in the background. The caller holds the lock.
pub fn start(
    cx: &Context,
    cluster: &str,
    spec: &ServiceSpec,
    owner: Option<(&str, &str)>,
    tags: &indexmap::IndexMap<String, String>,
    adjust: impl FnOnce(&mut Task),
) -> Result<Task, AwsError> {
    let definition = task_definition::named(cx, &spec.task_definition)?;
    let n = cx.store().get::<u16>(COUNTERS, "task")?.unwrap_or(0);
    let containers = list(&definition, "containerDefinitions")
        .iter()
        .map(|c| ContainerState {
            name: text(c, "name").unwrap_or_default().into(),
            image: text(c, "image").unwrap_or_default().into(),
            status: Status::Pending,
            supervisor: None,
            exit_code: None,
            reason: None,
            health: "UNKNOWN".into(),
        });
    let mut task = Task {
        id: uuid::Uuid::new_v4().simple().to_string(),
        cluster: cluster.into(),
        service: owner.map(|(service, _)| service.to_owned()),
        deployment: owner.map(|(_, deployment)| deployment.to_owned()),
        spec: spec.clone(),
        address: cx.loopback()?.task(n),
        last_status: Status::Provisioning,
        stopping: false,
        failed: false,
        end_recorded: false,
        created: now(),
        started: None,
        stopping_at: None,
        stopped: None,
        stop_code: None,
        stopped_reason: None,
        started_by: owner.map(|(_, deployment)| deployment.to_owned()),
        overrides: json!({}),
        containers: containers.collect(),
        tags: if spec.propagate_tags == "SERVICE" {
            tags.clone()
        } else {
            indexmap::IndexMap::default()
        },
    };
    adjust(&mut task);
    if spec.managed_tags {
        task.tags.insert("aws:ecs:clusterName".into(), cluster.into());
        if let Some((service, _)) = owner {
            task.tags.insert("aws:ecs:serviceName".into(), service.into());
        }
    }
    cx.store().transaction(|| -> Result<_, AwsError> {
        cx.store().put(COUNTERS, "task", &n.wrapping_add(1))?;
        task.put(cx)
    })?;
    spawn(cx, &task.id);
    Ok(task)
}

/// Asks a task to stop. The caller holds the lock.
pub fn request_stop(cx: &Context, id: &str, code: &str, reason: &str, failed: bool) -> Result<(), AwsError> {
    let Some(mut task) = model::task(cx, id)?.filter(|t| t.is_live() && !t.stopping) else {
        return Ok(());
    };
    task.stopping = true;
    task.stopping_at = Some(now());
    task.stop_code = Some(code.into());
    task.stopped_reason = Some(reason.into());
    task.failed = failed;
    task.put(cx)?;
    if let Some(token) = cx.extension::<EcsState>().stop_tokens().get(id) {
        token.cancel();
    }
    Ok(())
}

/// Returns the failure of a stopped task in one line: its reason, and the exit codes and reasons of its containers.
pub fn failure_description(task: &Task) -> String {
    let mut description = task.stopped_reason.clone().unwrap_or_else(|| "the task stopped".into());
    for container in &task.containers {
        if let Some(code) = container.exit_code.filter(|code| *code != 0) {
            description += &format!(" (container {}: exit code {code})", container.name);
        }
        if let Some(reason) = container.reason.as_ref().filter(|r| !description.contains(r.as_str())) {
            description += &format!(" (container {}: {reason})", container.name);
        }
    }
    description
}

/// Stops every task because the endpoint stops. Services keep their desired count, so that the next start of the endpoint
/// starts their tasks again.
pub async fn stop_all(cx: &Context) {
    let ecs = cx.extension::<EcsState>();
    {
        let _lock = ecs.lock();
        for task in model::tasks(cx).unwrap_or_default().into_iter().filter(Task::is_live) {
            let _ = request_stop(
                cx,
                &task.id,
                "TerminationNotice",
                "The embedded endpoint was stopped",
                false,
            );
        }
    }
    while !ecs.stop_tokens().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Runs a task in the background until it has ended.
pub fn spawn(cx: &Context, id: &str) {
    let token = CancellationToken::new();
    cx.extension::<EcsState>()
        .stop_tokens()
        .insert(id.to_owned(), token.clone());
    let (cx, id) = (cx.clone(), id.to_owned());
    tokio::spawn(async move {
        loop {
            let (own, task, stop) = (cx.clone(), id.clone(), token.clone());
            match tokio::spawn(async move { run(&own, &task, &stop).await }).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => {
                    tracing::error!(task.id = %id, %error, "a task could not be run to its end");
                    break;
                }
                // The containers still run: the next attempt adopts them.
                Err(panic) => {
                    tracing::error!(task.id = %id, %panic, "the monitor of a task ended and is started again");
                }
            }
            tokio::time::sleep(MONITOR_RESTART).await;
        }
        let ecs = cx.extension::<EcsState>();
        ecs.stop_tokens().remove(&id);
        ecs.wake_scheduler();
    });
}

async fn run(cx: &Context, id: &str, token: &CancellationToken) -> Result<(), AwsError> {
    let Some(task) = model::task(cx, id)? else {
        return Ok(());
    };
    if task.stopping {
        token.cancel();
    }
    let definition = task_definition::named(cx, &task.spec.task_definition)?;
    if task.last_status == Status::Provisioning {
        update_task(cx, id, |task| task.last_status = Status::Pending)?;
    }
    let mut containers = match TaskContainers::prepare(cx, &task, &definition).await {
        Ok(containers) => containers,
        Err(error) => {
            let end = TaskEnd::failed("TaskFailedToStart", format!("{error:#}"));
            return shut_down(cx, &task, None, end).await;
        }
    };
    let started = async || {
        update_task(cx, id, |task| {
            task.last_status = Status::Running;
            task.started.get_or_insert_with(now);
        })?;
        cx.extension::<EcsState>().wake_scheduler();
        service_discovery::register(cx, &task, &definition).await;
        Ok(())
    };
    let end = match containers.run(cx, &task, token, started).await? {
        End::Requested => TaskEnd::requested(),
        End::NotStarted(reason) => TaskEnd::failed("TaskFailedToStart", reason),
        End::EssentialExited(reason) => TaskEnd::failed("EssentialContainerExited", reason),
    };
    shut_down(cx, &task, Some(containers), end).await
}

/// Deregisters a task, waits until its connections are drained, stops its containers, and records how they ended.
async fn shut_down(
    cx: &Context,
    task: &Task,
    containers: Option<TaskContainers>,
    end: TaskEnd,
) -> Result<(), AwsError> {
    update_task(cx, &task.id, |task| {
        task.last_status = Status::Deactivating;
        if !task.stopping {
            task.stopping = true;
            task.stopping_at = Some(now());
            task.stop_code = Some(end.code.into());
            task.stopped_reason = Some(end.reason.clone());
            task.failed = end.failed;
        }
    })?;
    service_discovery::deregister(cx, task).await;
    if containers.as_ref().is_some_and(TaskContainers::is_any_running) {
        wait_until_drained(cx, task).await;
    }
    update_task(cx, &task.id, |task| task.last_status = Status::Stopping)?;
    // A container that runs but could not be adopted, because its image or a secret no longer exists, is stopped too.
    for state in model::task(cx, &task.id)?.map(|t| t.containers).unwrap_or_default() {
        let known = containers
            .as_ref()
            .is_some_and(|containers| containers.has(&state.name));
        let folder = model::task_folder(cx, &task.id).join(&state.name);
        let supervisor = state.supervisor.or_else(|| Container::supervisor_in(&folder));
        if let Some(supervisor) = supervisor.filter(|_| !known) {
            let outcome = Container { folder, supervisor }.stop(Duration::from_secs(10)).await;
            task_containers::update(cx, task, &state.name, |state| state.exit_code = outcome.code)?;
        }
    }
    if let Some(containers) = containers {
        containers.stop(cx, task).await?;
    }
    update_task(cx, &task.id, |task| {
        task.last_status = Status::Stopped;
        task.stopped = Some(now());
        for container in &mut task.containers {
            container.status = Status::Stopped;
        }
    })?;
    let _ = std::fs::remove_dir_all(model::task_folder(cx, &task.id));
    Ok(())
}

/// Waits until no target group drains connections to this task any more.
async fn wait_until_drained(cx: &Context, task: &Task) {
    let balancers = cx.extension::<LoadBalancers>();
    let is_draining = || {
        task.spec
            .load_balancers
            .iter()
            .filter_map(|b| balancers.target_group(&b.target_group))
            .any(|group| {
                group
                    .targets()
                    .iter()
                    .any(|t| t.address.ip() == task.address && t.health().state == "draining")
            })
    };
    while is_draining() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
