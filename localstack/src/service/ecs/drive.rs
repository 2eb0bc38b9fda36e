//! One task, from its start to its end.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::launch;
use super::live::Live;
use super::model::{self, ContainerState, Status, Task, Wish};
use super::{Ecs, names, task_definition};
use crate::records::now;
use crate::runtime::load_balancer::LoadBalancers;
use crate::runtime::task::process::Container;
use crate::{AwsError, Context};

const TICK: Duration = Duration::from_millis(100);
const COUNTER: &str = "ecs.counters";

/// Why a task ends.
struct End {
    code: &'static str,
    reason: String,
    failed: bool,
}

/// Makes a task and begins to start it. The caller holds the gate.
pub fn begin(
    cx: &Context,
    cluster: &str,
    wish: &Wish,
    owner: Option<(&str, &str)>,
    tags: &indexmap::IndexMap<String, String>,
    adjust: impl FnOnce(&mut Task),
) -> Result<Task, AwsError> {
    let definition = task_definition::named(cx, &wish.task_definition)?;
    let n = cx.store().get::<u16>(COUNTER, "task")?.unwrap_or(0);
    cx.store().put(COUNTER, "task", &n.wrapping_add(1))?;
    let containers = super::shape::list(&definition, "containerDefinitions")
        .iter()
        .map(|c| ContainerState {
            name: super::shape::text(c, "name").unwrap_or_default().into(),
            image: super::shape::text(c, "image").unwrap_or_default().into(),
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
        wish: wish.clone(),
        address: cx.loopback().task(n),
        last_status: Status::Provisioning,
        stopping: false,
        failed: false,
        counted: false,
        created: now(),
        started: None,
        stopping_at: None,
        stopped: None,
        stop_code: None,
        stopped_reason: None,
        started_by: owner.map(|(_, deployment)| deployment.to_owned()),
        overrides: json!({}),
        containers: containers.collect(),
        tags: if wish.propagate_tags == "SERVICE" {
            tags.clone()
        } else {
            Default::default()
        },
    };
    adjust(&mut task);
    task.put(cx)?;
    follow(cx, &task.id);
    Ok(task)
}

/// Tells a task to end. The caller holds the gate.
pub fn stop(cx: &Context, id: &str, code: &str, reason: &str, failed: bool) -> Result<(), AwsError> {
    let Some(mut task) = model::task(cx, id)?.filter(|t| t.is_live() && !t.stopping) else {
        return Ok(());
    };
    task.stopping = true;
    task.stopping_at = Some(now());
    task.stop_code = Some(code.into());
    task.stopped_reason = Some(reason.into());
    task.failed = failed;
    task.put(cx)?;
    if let Some(driver) = cx.extension::<Ecs>().drivers().get(id) {
        driver.cancel();
    }
    Ok(())
}

/// A stopped task's failure in one line: the reason, the container's own, its exit code.
pub fn words(task: &Task) -> String {
    let mut words = task.stopped_reason.clone().unwrap_or_else(|| "the task stopped".into());
    for container in &task.containers {
        if let Some(code) = container.exit_code.filter(|code| *code != 0) {
            words += &format!(" (container {}: exit code {code})", container.name);
        }
        if let Some(reason) = container.reason.as_ref().filter(|r| !words.contains(r.as_str())) {
            words += &format!(" (container {}: {reason})", container.name);
        }
    }
    words
}

/// Takes up the tasks that an endpoint before this one started; the scheduler replaces those that have ended since.
pub fn adopt(cx: &Context) -> anyhow::Result<()> {
    for task in model::tasks(cx)?.into_iter().filter(Task::is_live) {
        follow(cx, &task.id);
    }
    Ok(())
}

/// Ends every task because the endpoint stops. What services desire stays, so that a start brings them back.
pub async fn end_all(cx: &Context) {
    let ecs = cx.extension::<Ecs>();
    {
        let _held = ecs.hold();
        for task in model::tasks(cx).unwrap_or_default().into_iter().filter(Task::is_live) {
            let _ = stop(
                cx,
                &task.id,
                "TerminationNotice",
                "The embedded endpoint was stopped",
                false,
            );
        }
    }
    while !ecs.drivers().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn follow(cx: &Context, id: &str) {
    let token = CancellationToken::new();
    cx.extension::<Ecs>().drivers().insert(id.to_owned(), token.clone());
    let (cx, id) = (cx.clone(), id.to_owned());
    tokio::spawn(async move {
        if let Err(error) = live(&cx, &id, &token).await {
            tracing::error!(task.id = %id, %error, "a task could not be followed to its end");
        }
        let ecs = cx.extension::<Ecs>();
        ecs.drivers().remove(&id);
        ecs.wake.notify_one();
    });
}

async fn live(cx: &Context, id: &str, token: &CancellationToken) -> Result<(), AwsError> {
    let Some(task) = model::task(cx, id)? else {
        return Ok(());
    };
    if task.stopping {
        token.cancel();
    }
    let definition = task_definition::named(cx, &task.wish.task_definition)?;
    let mut containers = Vec::new();
    let end = match start(cx, &task, &definition, &mut containers, token).await {
        Err(error) => End {
            code: "TaskFailedToStart",
            reason: format!("{error:#}"),
            failed: true,
        },
        Ok(()) if containers.is_empty() => told(),
        Ok(()) => {
            edit(cx, id, |task| {
                task.last_status = Status::Running;
                task.started.get_or_insert_with(now);
            })?;
            cx.extension::<Ecs>().wake.notify_one();
            names::join(cx, &task, &definition).await;
            watch(cx, &task, &mut containers, token).await?
        }
    };
    finish(cx, &task, containers, end).await
}

/// Starts the containers in the order of the definition, each after those that it depends on. Containers that run
/// already are taken over.
async fn start(
    cx: &Context,
    task: &Task,
    definition: &Value,
    into: &mut Vec<Live>,
    token: &CancellationToken,
) -> anyhow::Result<()> {
    if task.last_status == Status::Provisioning {
        edit(cx, &task.id, |task| task.last_status = Status::Pending)?;
    }
    for container in super::shape::list(definition, "containerDefinitions") {
        let adopted = task
            .containers
            .iter()
            .find(|c| Some(c.name.as_str()) == super::shape::text(container, "name"));
        let adopted = adopted.and_then(|state| state.supervisor);
        let prepared = launch::prepare(cx, task, definition, container).await?;
        if token.is_cancelled() && adopted.is_none() {
            return Ok(());
        }
        let folder = prepared.folder(cx, task);
        let container = match adopted {
            Some(supervisor) => Container {
                folder: folder.clone(),
                supervisor,
            },
            None => {
                std::fs::create_dir_all(&folder)?;
                names::write_hosts(cx, task, &folder)?;
                prepared.start(cx, task).await?
            }
        };
        edit(cx, &task.id, |task| {
            if let Some(state) = task.containers.iter_mut().find(|c| c.name == prepared.name) {
                state.supervisor = Some(container.supervisor);
                state.status = Status::Running;
            }
        })?;
        into.push(Live::begin(prepared, container, &folder));
    }
    Ok(())
}

/// Waits for an end: a container's, or one that somebody asks for. Meanwhile: logs and health checks.
async fn watch(cx: &Context, task: &Task, containers: &mut [Live], token: &CancellationToken) -> Result<End, AwsError> {
    let (said, mut heard) = mpsc::channel::<(usize, bool)>(16);
    loop {
        tokio::select! {
            () = token.cancelled() => return Ok(told()),
            () = tokio::time::sleep(TICK) => {}
        }
        while let Ok((n, well)) = heard.try_recv() {
            containers[n].judge(cx, task, well)?;
        }
        for (n, live) in containers.iter_mut().enumerate() {
            live.pump(cx, false);
            if let Some(outcome) = live.container.exit_status() {
                let reason = outcome.reason.clone();
                note_end(cx, task, &live.prepared.name, outcome)?;
                if !live.prepared.essential {
                    continue;
                }
                return Ok(match reason {
                    Some(reason) => End {
                        code: "TaskFailedToStart",
                        reason: format!("CannotStartContainerError: {reason}"),
                        failed: true,
                    },
                    None => End {
                        code: "EssentialContainerExited",
                        reason: "Essential container in task exited".into(),
                        failed: true,
                    },
                });
            }
            live.probe(n, &said);
        }
    }
}

fn told() -> End {
    End {
        code: "UserInitiated",
        reason: String::new(),
        failed: false,
    }
}

/// Takes the task out of its load balancers and names, ends its containers, and writes down how it went.
async fn finish(cx: &Context, task: &Task, mut containers: Vec<Live>, end: End) -> Result<(), AwsError> {
    edit(cx, &task.id, |task| {
        task.last_status = Status::Deactivating;
        if !task.stopping {
            task.stopping = true;
            task.stopping_at = Some(now());
            task.stop_code = Some(end.code.into());
            task.stopped_reason = Some(end.reason.clone());
            task.failed = end.failed;
        }
    })?;
    names::leave(cx, task).await;
    if containers.iter().any(|c| c.container.exit_status().is_none()) {
        drained(cx, task).await;
    }
    edit(cx, &task.id, |task| task.last_status = Status::Stopping)?;
    // One that runs but could not be taken over, because its image or a secret is gone, ends as well.
    for state in model::task(cx, &task.id)?.map(|t| t.containers).unwrap_or_default() {
        let known = containers.iter().any(|live| live.prepared.name == state.name);
        if let Some(supervisor) = state.supervisor.filter(|_| !known) {
            let folder = model::folder(cx, &task.id).join(&state.name);
            let outcome = Container { folder, supervisor }.stop(Duration::from_secs(10)).await;
            note_end(cx, task, &state.name, outcome)?;
        }
    }
    let ends = containers
        .iter()
        .map(|live| live.container.stop(live.prepared.stop_timeout));
    let outcomes = futures::future::join_all(ends).await;
    for (live, outcome) in containers.iter_mut().zip(outcomes) {
        live.pump(cx, true);
        note_end(cx, task, &live.prepared.name, outcome)?;
    }
    edit(cx, &task.id, |task| {
        task.last_status = Status::Stopped;
        task.stopped = Some(now());
        for container in &mut task.containers {
            container.status = Status::Stopped;
        }
    })?;
    let _ = std::fs::remove_dir_all(model::folder(cx, &task.id));
    Ok(())
}

/// Waits until no request is under way in this task any more.
async fn drained(cx: &Context, task: &Task) {
    let balancers = cx.extension::<LoadBalancers>();
    let here = || {
        task.wish
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
    while here() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn note_end(cx: &Context, task: &Task, name: &str, outcome: crate::runtime::task::ExitStatus) -> Result<(), AwsError> {
    edit(cx, &task.id, |task| {
        if let Some(state) = task.containers.iter_mut().find(|c| c.name == name) {
            state.status = Status::Stopped;
            state.exit_code = outcome.code;
            state.reason = outcome
                .reason
                .map(|reason| format!("CannotStartContainerError: {reason}"));
        }
    })
}

pub(super) fn edit(cx: &Context, id: &str, change: impl FnOnce(&mut Task)) -> Result<(), AwsError> {
    let ecs = cx.extension::<Ecs>();
    let _held = ecs.hold();
    if let Some(mut task) = model::task(cx, id)? {
        change(&mut task);
        task.put(cx)?;
    }
    Ok(())
}
