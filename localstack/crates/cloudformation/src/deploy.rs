//! Makes and changes a stack's resources, as many at once as their order permits.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::compare::{differences, replaces};
use super::engine::{self, Work};
use super::graph::graph;
use super::scope::Scope;
use super::stack::{Member, Stack};
use super::template::Template;
use super::{dynamic, validate};
use endpoint_core::{Desired, Failure, Initiated, Resource, ResourceType};

/// The reason of the event that first shows a new resource's physical id.
const INITIATED: &str = "Resource creation Initiated";

/// Why a deployment ended early.
#[derive(Debug)]
pub enum Stopped {
    /// With the stack's reason.
    Failed(String),
    /// Another operation takes over; nothing more is to be done.
    Superseded,
}

/// What every resource of one deployment shares.
pub(super) struct Deployment {
    pub(super) work: Work,
    pub(super) template: Template,
    pub(super) scope: Scope,
    /// Cancelled at the first failure, so that slow neighbours end soon.
    halt: CancellationToken,
}

/// Brings the resources to the stack's goal and gives its outputs; removed and replaced ones become garbage.
pub async fn deploy(work: &Work) -> anyhow::Result<Result<(), Stopped>> {
    let stack = work.stack()?;
    let failed = |words: String| Ok(Err(Stopped::Failed(words)));
    let template = Template::parse(&stack.goal.body)?;
    let scope = match engine::scope(
        &work.cx,
        &stack.name,
        &stack.id,
        &template,
        &stack.goal.values,
        &stack.members,
    )
    .await
    {
        Ok(scope) => scope,
        Err(error) => return failed(error.message),
    };
    let graph = graph(&template, &scope);
    let halt = work.cancel.child_token();
    let shared = Arc::new(Deployment {
        work: work.clone(),
        template,
        scope,
        halt: halt.clone(),
    });
    let mut waiting = graph.clone();
    let (mut ready, mut failures): (HashSet<String>, Vec<(String, &'static str)>) = Default::default();
    let mut running = JoinSet::new();
    let limit = stack.timeout_minutes.filter(|_| stack.status == "CREATE_IN_PROGRESS");
    let deadline = tokio::time::sleep(limit.map_or(Duration::from_secs(1 << 31), |m| Duration::from_secs(m * 60)));
    tokio::pin!(deadline);
    let mut is_late = false;
    loop {
        if !halt.is_cancelled() {
            let startable: Vec<String> = waiting
                .iter()
                .filter(|(_, first)| first.iter().all(|f| ready.contains(f)))
                .map(|(id, _)| id.clone())
                .collect();
            for id in startable {
                let needs = waiting.shift_remove(&id).unwrap_or_default();
                let shared = shared.clone();
                running.spawn(async move { (id.clone(), shared.settle(&id, needs).await) });
            }
        }
        let next = tokio::select! {
            next = running.join_next() => next,
            () = &mut deadline, if !is_late => {
                is_late = true;
                halt.cancel();
                continue;
            }
        };
        match next {
            None => break,
            Some(Ok((id, Ok(())))) => {
                ready.insert(id);
            }
            Some(Ok((id, Err(verb)))) => {
                failures.push((id, verb));
                halt.cancel();
            }
            Some(Err(panic)) => {
                halt.cancel();
                failures.push((format!("(a task of the endpoint broke: {panic})"), "create"));
            }
        }
    }
    if work.is_superseded() {
        return Ok(Err(Stopped::Superseded));
    }
    if is_late {
        return failed("Stack creation time exceeded the specified timeout.".to_owned());
    }
    if !failures.is_empty() {
        return failed(summary(&failures));
    }
    if work.cancel.is_cancelled() {
        return failed("User Initiated".to_owned());
    }
    match shared.outputs().await? {
        Ok(()) => Ok(Ok(())),
        Err(reason) => failed(reason),
    }
}

fn summary(failures: &[(String, &'static str)]) -> String {
    let of = |verb: &str| {
        failures
            .iter()
            .filter(|(_, v)| *v == verb)
            .map(|(id, _)| id.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let line = |verb: &str| {
        Some(of(verb))
            .filter(|ids| !ids.is_empty())
            .map(|ids| format!("The following resource(s) failed to {verb}: [{ids}]."))
    };
    [line("create"), line("update")]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
}

/// What one resource needs to have done.
enum Step {
    Nothing,
    Create,
    Update(Member),
    Replace(Member),
}

impl Deployment {
    /// Brings one resource to its goal; an error is the verb that failed, the reason is told in the events.
    async fn settle(&self, id: &str, needs: BTreeSet<String>) -> Result<(), &'static str> {
        match self.attempt(id, needs).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(
                    resource = id,
                    error = format!("{error:#}"),
                    "a resource's state cannot be kept"
                );
                Err("create")
            }
        }
    }

    async fn attempt(&self, id: &str, needs: BTreeSet<String>) -> anyhow::Result<Result<(), &'static str>> {
        let stack = self.work.stack()?;
        let spec = &self.template.resources[id];
        let there = stack
            .members
            .get(id)
            .filter(|m| m.physical_id.is_some() && m.kind == spec.kind)
            .cloned();
        let verb = if there.is_some() { "update" } else { "create" };
        let Some(kind) = self.work.cx.resource_type(&spec.kind) else {
            return self.fail(id, verb, format!("Unrecognized resource type: {}", spec.kind));
        };
        let mut scope = self.scope.clone();
        scope.resources = engine::live(&stack.members);
        let properties = match scope.object(&spec.properties).and_then(|p| {
            validate::properties(id, &kind.schema(), &p)?;
            Ok(p)
        }) {
            Ok(properties) => properties,
            Err(reason) => {
                self.work
                    .edit(|s| s.members.entry(id.to_owned()).or_default().kind.clone_from(&spec.kind))?;
                return self.fail(id, verb, reason);
            }
        };
        let step = self.step(there, &kind, &properties, &stack);
        self.work.edit(|stack| {
            let member = stack.members.entry(id.to_owned()).or_default();
            id.clone_into(&mut member.logical_id);
            member.kind.clone_from(&spec.kind);
            member.needs = needs;
            member.deletion_policy.clone_from(&spec.deletion_policy);
            member.update_replace_policy.clone_from(&spec.update_replace_policy);
            member.metadata.clone_from(&spec.metadata);
        })?;
        let desired = |resolved: Value| Desired {
            stack_name: stack.name.clone(),
            stack_id: stack.id.clone(),
            logical_id: id.to_owned(),
            properties: resolved,
            tags: stack.goal.tags.clone(),
            initiated: Default::default(),
            cancel: self.halt.clone(),
        };
        match step {
            Step::Nothing => Ok(Ok(())),
            Step::Create => {
                self.say(id, "CREATE_IN_PROGRESS", None)?;
                let (initiated, told) = mpsc::unbounded_channel();
                let listened = |resolved| Desired {
                    initiated: Initiated::new(initiated.clone()),
                    ..desired(resolved)
                };
                let made = self.make(&kind, &listened, &properties);
                let made = self.listening(id, told, made).await?;
                self.made(id, "create", made, properties, &stack)
            }
            Step::Update(old) => {
                self.say(id, "UPDATE_IN_PROGRESS", None)?;
                // RecordType before the attempt: after a failure, what the resource is like is what was attempted.
                self.work.edit(|s| {
                    if let Some(member) = s.members.get_mut(id) {
                        member.properties.clone_from(&properties);
                        member.tags.clone_from(&stack.goal.tags);
                    }
                })?;
                let changed = change(&self.work, &kind, &old, &desired, &properties).await;
                self.made(id, "update", changed, properties, &stack)
            }
            Step::Replace(old) => {
                let words = "Requested update requires the creation of a new physical resource; hence creating one.";
                self.say(id, "UPDATE_IN_PROGRESS", Some(words.to_owned()))?;
                let made = self.make(&kind, &desired, &properties).await;
                if made.is_ok() {
                    self.work.edit(|s| s.garbage.push(old))?;
                }
                self.made(id, "update", made, properties, &stack)
            }
        }
    }

    fn step(
        &self,
        there: Option<Member>,
        kind: &Arc<dyn ResourceType>,
        properties: &Map<String, Value>,
        stack: &Stack,
    ) -> Step {
        let Some(old) = there else { return Step::Create };
        let schema = kind.schema();
        let changed = differences(&old.properties, properties);
        let retagged = old.tags != stack.goal.tags && schema.properties.contains(&"Tags");
        if changed.iter().any(|d| replaces(&d.path, schema.create_only)) {
            Step::Replace(old)
        } else if !changed.is_empty() || retagged || old.status.ends_with("_FAILED") {
            Step::Update(old)
        } else {
            Step::Nothing
        }
    }

    async fn make(
        &self,
        kind: &Arc<dyn ResourceType>,
        desired: &impl Fn(Value) -> Desired,
        properties: &Map<String, Value>,
    ) -> Result<Resource, Failure> {
        let resolved = dynamic::resolve(&self.work.cx, &Value::Object(properties.clone())).await?;
        kind.create(&self.work.cx, &desired(resolved)).await
    }

    /// Awaits a creation; what it tells of itself meanwhile becomes an event at once.
    async fn listening<T>(
        &self,
        id: &str,
        mut told: mpsc::UnboundedReceiver<String>,
        creation: impl Future<Output = T>,
    ) -> anyhow::Result<T> {
        tokio::pin!(creation);
        loop {
            tokio::select! {
                biased;
                Some(physical_id) = told.recv() => {
                    // kept, so that a stack that is cut off here knows what to take away
                    self.work.edit(|s| {
                        if let Some(member) = s.members.get_mut(id) {
                            member.physical_id = Some(physical_id);
                            member.is_new = true;
                        }
                    })?;
                    self.say(id, "CREATE_IN_PROGRESS", Some(INITIATED.to_owned()))?;
                }
                made = &mut creation => return Ok(made),
            }
        }
    }

    fn made(
        &self,
        id: &str,
        verb: &'static str,
        outcome: Result<Resource, Failure>,
        properties: Map<String, Value>,
        stack: &Stack,
    ) -> anyhow::Result<Result<(), &'static str>> {
        let made = match outcome {
            Ok(made) => made,
            Err(_) if self.halt.is_cancelled() => {
                let words = if verb == "create" {
                    "Resource creation cancelled"
                } else {
                    "Resource update cancelled"
                };
                return self.fail(id, verb, words.to_owned());
            }
            Err(failure) => return self.fail(id, verb, failure.0),
        };
        let (progress, done) = match verb {
            "create" => ("CREATE_IN_PROGRESS", "CREATE_COMPLETE"),
            _ => ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"),
        };
        let was_told = self
            .work
            .stack()?
            .members
            .get(id)
            .is_some_and(|m| m.reason.as_deref() == Some(INITIATED));
        let is_replaced = stack
            .members
            .get(id)
            .is_some_and(|m| m.physical_id.as_ref() != Some(&made.physical_id));
        self.work.edit(|s| {
            if let Some(member) = s.members.get_mut(id) {
                member.is_new = is_replaced || verb == "create";
                member.physical_id = Some(made.physical_id);
                member.attributes = made.attributes;
                member.properties = properties;
                member.tags.clone_from(&stack.goal.tags);
                member.drift = None;
            }
        })?;
        if verb == "create" && !was_told {
            self.say(id, progress, Some(INITIATED.to_owned()))?;
        }
        self.say(id, done, None)?;
        Ok(Ok(()))
    }

    fn fail(&self, id: &str, verb: &'static str, reason: String) -> anyhow::Result<Result<(), &'static str>> {
        self.say(
            id,
            if verb == "create" {
                "CREATE_FAILED"
            } else {
                "UPDATE_FAILED"
            },
            Some(reason),
        )?;
        Ok(Err(verb))
    }

    fn say(&self, id: &str, status: &str, reason: Option<String>) -> anyhow::Result<()> {
        self.work.member(id, |member| {
            member.status = status.to_owned();
            member.reason = reason;
        })
    }
}

/// Changes a resource in place; both sides have their dynamic references resolved, the old one as far as it can be.
pub async fn change(
    work: &Work,
    kind: &Arc<dyn ResourceType>,
    old: &Member,
    desired: &impl Fn(Value) -> Desired,
    properties: &Map<String, Value>,
) -> Result<Resource, Failure> {
    let before = Value::Object(old.properties.clone());
    let before = dynamic::resolve(&work.cx, &before).await.unwrap_or(before);
    let resolved = dynamic::resolve(&work.cx, &Value::Object(properties.clone())).await?;
    let physical_id = old.physical_id.as_deref().unwrap_or_default();
    kind.update(&work.cx, physical_id, &before, &desired(resolved)).await
}
