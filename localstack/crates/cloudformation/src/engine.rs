//! Operations: one at a time on a stack, in the background, taken up again after a crash.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use indexmap::IndexMap;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::deploy::{self, Stopped};
use super::scope::{Live, Scope};
use super::stack::{self, Member, OnFailure, Previous, Stack};
use super::template::Template;
use super::{delete, rollback};
use endpoint_core::{AwsError, Context};

/// The operations that run, by stack id.
#[derive(Default)]
pub struct Engine {
    running: Mutex<HashMap<String, Work>>,
}

/// A running operation's hold on its stack.
#[derive(Clone)]
pub struct Work {
    pub cx: Context,
    pub id: String,
    /// Cancelled when a person cancels the operation, or another takes its place.
    pub cancel: CancellationToken,
    is_superseded: Arc<AtomicBool>,
    done: CancellationToken,
}

impl Work {
    /// Another operation waits to take over: leave at once, and leave the stack as it is.
    pub fn is_superseded(&self) -> bool {
        self.is_superseded.load(Ordering::SeqCst) || self.cx.shutdown().is_cancelled()
    }

    /// A rollback cannot be cancelled by the token that started it, only by the end of the endpoint.
    pub fn cancel_of_rollback(&self) -> CancellationToken {
        self.cx.shutdown().child_token()
    }

    pub fn stack(&self) -> anyhow::Result<Stack> {
        Ok(stack::existing(&self.cx, &self.id)?)
    }

    pub fn edit<T>(&self, change: impl FnOnce(&mut Stack) -> T) -> anyhow::Result<T> {
        stack::edit(&self.cx, &self.id, change)
    }

    /// Sets the stack's status, and tells it.
    pub fn status(&self, status: &str, reason: Option<String>) -> anyhow::Result<()> {
        let stack = self.edit(|stack| {
            stack.status = status.to_owned();
            stack.reason = reason;
            stack.clone()
        })?;
        stack.tell(&self.cx, None)
    }

    /// Changes one resource, and tells its status.
    pub fn member(&self, logical_id: &str, change: impl FnOnce(&mut Member)) -> anyhow::Result<()> {
        let stack = self.edit(|stack| {
            let member = stack.members.entry(logical_id.to_owned()).or_default();
            logical_id.clone_into(&mut member.logical_id);
            change(member);
            member.updated = stack::now();
            stack.clone()
        })?;
        stack.tell(&self.cx, stack.members.get(logical_id))
    }
}

/// Runs an operation in the background, once the one before it on this stack has ended.
fn launch<F>(cx: &Context, id: &str, operation: impl FnOnce(Work) -> F + Send + 'static)
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let engine = cx.extension::<Engine>();
    let work = Work {
        cx: cx.clone(),
        id: id.to_owned(),
        cancel: CancellationToken::new(),
        is_superseded: Arc::default(),
        done: CancellationToken::new(),
    };
    let before = engine
        .running
        .lock()
        .expect("no panic holds this lock")
        .insert(id.to_owned(), work.clone());
    if let Some(before) = &before {
        before.is_superseded.store(true, Ordering::SeqCst);
        before.cancel.cancel();
    }
    tokio::spawn(async move {
        let _done = work.done.clone().drop_guard();
        if let Some(before) = before {
            before.done.cancelled().await;
        }
        if let Err(error) = operation(work.clone()).await {
            tracing::error!(stack = %work.id, error = format!("{error:#}"), "an operation broke off");
        }
        let mut running = engine.running.lock().expect("no panic holds this lock");
        if running
            .get(&work.id)
            .is_some_and(|r| Arc::ptr_eq(&r.is_superseded, &work.is_superseded))
        {
            running.remove(&work.id);
        }
    });
}

/// Cancels the running operation of a stack, which then rolls back.
pub fn cancel(cx: &Context, id: &str) {
    if let Some(work) = cx
        .extension::<Engine>()
        .running
        .lock()
        .expect("no panic holds this lock")
        .get(id)
    {
        work.cancel.cancel();
    }
}

/// Waits until no operation runs any more; used when the endpoint stops.
pub async fn stop_all(cx: &Context) {
    let running: Vec<Work> = {
        let engine = cx.extension::<Engine>();
        let running = engine.running.lock().expect("no panic holds this lock");
        running.values().cloned().collect()
    };
    for work in running {
        work.is_superseded.store(true, Ordering::SeqCst);
        work.cancel.cancel();
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), work.done.cancelled()).await;
    }
}

/// Starts making a stack that is kept already.
pub fn create(cx: &Context, id: &str) -> anyhow::Result<()> {
    begin(cx, id, "CREATE_IN_PROGRESS", "User Initiated")?;
    launch(cx, id, |work| async move {
        let outcome = deploy::deploy(&work).await?;
        finish_create(&work, outcome).await
    });
    Ok(())
}

async fn finish_create(work: &Work, outcome: Result<(), Stopped>) -> anyhow::Result<()> {
    match outcome {
        Ok(()) => work.status("CREATE_COMPLETE", None),
        Err(Stopped::Superseded) => Ok(()),
        Err(Stopped::Failed(reason)) => match work.stack()?.on_failure {
            OnFailure::DoNothing => work.status("CREATE_FAILED", Some(reason)),
            OnFailure::Rollback => {
                let reason = format!("{reason} Rollback requested by user.");
                work.status("ROLLBACK_IN_PROGRESS", Some(reason))?;
                rollback::of_create(work).await
            }
            OnFailure::Delete => {
                let reason = format!("{reason} Delete requested by user.");
                work.status("DELETE_IN_PROGRESS", Some(reason))?;
                delete::stack(work, &[]).await
            }
        },
    }
}

/// Starts an update to a new goal; what is there now is kept for the rollback.
pub fn update(cx: &Context, id: &str, goal: stack::Goal) -> anyhow::Result<()> {
    stack::edit(cx, id, |stack| {
        for member in stack.members.values_mut() {
            member.is_new = false;
        }
        stack.previous = Some(Box::new(Previous {
            goal: std::mem::replace(&mut stack.goal, goal),
            members: stack.members.clone(),
            outputs: stack.outputs.clone(),
            imports: stack.imports.clone(),
        }));
        stack.updated = Some(stack::now());
    })?;
    begin(cx, id, "UPDATE_IN_PROGRESS", "User Initiated")?;
    launch(cx, id, |work| async move {
        let outcome = deploy::deploy(&work).await?;
        finish_update(&work, outcome).await
    });
    Ok(())
}

async fn finish_update(work: &Work, outcome: Result<(), Stopped>) -> anyhow::Result<()> {
    match outcome {
        Ok(()) => {
            work.edit(|stack| stack.previous = None)?;
            work.status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", None)?;
            clean_up(work, "UPDATE_COMPLETE").await
        }
        Err(Stopped::Superseded) => Ok(()),
        Err(Stopped::Failed(reason)) if work.stack()?.on_failure == OnFailure::DoNothing => {
            work.status("UPDATE_FAILED", Some(reason))
        }
        Err(Stopped::Failed(reason)) => {
            work.status("UPDATE_ROLLBACK_IN_PROGRESS", Some(reason))?;
            rollback::of_update(work, &[]).await
        }
    }
}

/// Removes what the stack no longer has, and ends with `status`: a removal that fails is told, and not waited for.
pub async fn clean_up(work: &Work, status: &str) -> anyhow::Result<()> {
    delete::garbage(work).await?;
    if work.is_superseded() {
        return Ok(());
    }
    work.edit(|stack| stack.garbage.clear())?;
    work.status(status, None)
}

/// Starts deleting a stack; an operation that runs on it gives up first.
pub fn delete(cx: &Context, id: &str, retain: Vec<String>) -> anyhow::Result<()> {
    begin(cx, id, "DELETE_IN_PROGRESS", "User Initiated")?;
    launch(cx, id, move |work| async move { delete::stack(&work, &retain).await });
    Ok(())
}

/// Takes a failed rollback up again; the resources in `skip` are taken as they are.
pub fn continue_rollback(cx: &Context, id: &str, skip: Vec<String>) -> anyhow::Result<()> {
    begin(cx, id, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")?;
    launch(
        cx,
        id,
        move |work| async move { rollback::of_update(&work, &skip).await },
    );
    Ok(())
}

/// Rolls back an operation that failed and was left as it was (`RollbackStack`).
pub fn roll_back(cx: &Context, id: &str) -> anyhow::Result<()> {
    let stack = stack::existing(cx, id)?;
    let is_create = stack.previous.is_none();
    begin(
        cx,
        id,
        if is_create {
            "ROLLBACK_IN_PROGRESS"
        } else {
            "UPDATE_ROLLBACK_IN_PROGRESS"
        },
        "User Initiated",
    )?;
    launch(cx, id, move |work| async move {
        if is_create {
            rollback::of_create(&work).await
        } else {
            rollback::of_update(&work, &[]).await
        }
    });
    Ok(())
}

/// Takes up what an endpoint that ended left behind: a stack in the middle of an operation goes back to where it was.
pub fn recover(cx: &Context) -> anyhow::Result<()> {
    const REASON: &str = "The endpoint was stopped while the operation ran.";
    for stack in stack::all(cx)?.into_iter().filter(Stack::is_busy) {
        let (id, status) = (stack.id.clone(), stack.status.clone());
        tracing::info!(stack = %stack.name, %status, "taking up an operation that was interrupted");
        for member in stack.members.values().filter(|m| m.status.ends_with("_IN_PROGRESS")) {
            let changed = stack::edit(cx, &id, |stack| {
                let member = stack.members.entry(member.logical_id.clone()).or_default();
                member.status = member.status.replace("_IN_PROGRESS", "_FAILED");
                member.reason = Some(REASON.to_owned());
                stack.clone()
            })?;
            changed.tell(cx, changed.members.get(&member.logical_id))?;
        }
        launch(cx, &id, move |work| async move {
            let failed = Err(Stopped::Failed(REASON.to_owned()));
            match status.as_str() {
                "CREATE_IN_PROGRESS" => finish_create(&work, failed).await,
                "ROLLBACK_IN_PROGRESS" => rollback::of_create(&work).await,
                "UPDATE_IN_PROGRESS" => finish_update(&work, failed).await,
                "UPDATE_ROLLBACK_IN_PROGRESS" => rollback::of_update(&work, &[]).await,
                "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" => clean_up(&work, "UPDATE_COMPLETE").await,
                "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS" => clean_up(&work, "UPDATE_ROLLBACK_COMPLETE").await,
                _ => delete::stack(&work, &[]).await,
            }
        });
    }
    Ok(())
}

/// The scope of a goal: parameters, pseudo parameters, conditions, exports; `members` are what can be referred to.
pub async fn scope(
    cx: &Context,
    name: &str,
    id: &str,
    template: &Template,
    values: &serde_json::Map<String, Value>,
    members: &IndexMap<String, Member>,
) -> Result<Scope, AwsError> {
    let mut scope = Scope {
        resources: live(members),
        ..Scope::default()
    };
    scope.names = values.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    for (pseudo, value) in [
        ("AWS::AccountId", cx.account()),
        ("AWS::Partition", "aws"),
        ("AWS::Region", cx.region()),
        ("AWS::StackId", id),
        ("AWS::StackName", name),
        ("AWS::URLSuffix", "amazonaws.com"),
    ] {
        scope.names.insert(pseudo.to_owned(), value.into());
    }
    scope
        .names
        .insert("AWS::NotificationARNs".to_owned(), Value::Array(Vec::new()));
    scope.exports = exports(cx)?
        .into_iter()
        .map(|(export, value, _)| (export, value))
        .collect();
    scope.zones = zones(cx).await;
    scope.decide(template).map_err(AwsError::validation)?;
    Ok(scope)
}

/// The resources that exist, as expressions see them.
pub fn live(members: &IndexMap<String, Member>) -> IndexMap<String, Live> {
    let found = members.values().filter_map(|m| {
        let live = Live {
            physical_id: m.physical_id.clone()?,
            attributes: m.attributes.clone(),
        };
        Some((m.logical_id.clone(), live))
    });
    found.collect()
}

/// Every export: name, value, and the id of its stack.
pub fn exports(cx: &Context) -> anyhow::Result<Vec<(String, String, String)>> {
    let mut found = Vec::new();
    for stack in stack::all(cx)?.into_iter().filter(|s| !s.is_deleted()) {
        for output in stack.outputs {
            if let Some(export) = output.export {
                found.push((export, output.value, stack.id.clone()));
            }
        }
    }
    Ok(found)
}

/// The names of the stacks that import an export.
pub fn importers(cx: &Context, export: &str) -> anyhow::Result<Vec<String>> {
    let stacks = stack::all(cx)?
        .into_iter()
        .filter(|s| !s.is_deleted() && s.imports.contains(export));
    Ok(stacks.map(|s| s.name).collect())
}

async fn zones(cx: &Context) -> Vec<String> {
    let answer = cx
        .call(
            "ec2",
            "DescribeAvailabilityZones",
            Value::Object(serde_json::Map::new()),
        )
        .await;
    let found: Vec<String> = answer
        .ok()
        .and_then(|a| a.get("AvailabilityZones").and_then(Value::as_array).cloned())
        .unwrap_or_default()
        .iter()
        .filter_map(|zone| zone.get("ZoneName").and_then(Value::as_str).map(str::to_owned))
        .collect();
    if found.is_empty() {
        ["a", "b", "c"].iter().map(|z| format!("{}{z}", cx.region())).collect()
    } else {
        found
    }
}

fn begin(cx: &Context, id: &str, status: &str, reason: &str) -> anyhow::Result<()> {
    let stack = stack::edit(cx, id, |stack| {
        stack.status = status.to_owned();
        stack.reason = Some(reason.to_owned());
        stack.clone()
    })?;
    stack.tell(cx, None)
}
