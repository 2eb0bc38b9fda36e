//! Creation, update and replacement of one resource.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::Deployment;
use crate::compare::{differences, replaces};
use crate::dynamic_reference;
use crate::policy::Policies;
use crate::stack::{Stack, StackResource};
use crate::stack_scope::resource_values;
use crate::validate;
use endpoint_core::{Desired, Failure, Initiated, Resource, ResourceType};

/// The reason in the event that first shows a new resource's physical id.
const INITIATED: &str = "Resource creation Initiated";

/// The action on a resource that stack statuses name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Create,
    Update,
}

impl Action {
    fn in_progress(self) -> &'static str {
        match self {
            Self::Create => "CREATE_IN_PROGRESS",
            Self::Update => "UPDATE_IN_PROGRESS",
        }
    }

    fn complete(self) -> &'static str {
        match self {
            Self::Create => "CREATE_COMPLETE",
            Self::Update => "UPDATE_COMPLETE",
        }
    }

    fn failed(self) -> &'static str {
        match self {
            Self::Create => "CREATE_FAILED",
            Self::Update => "UPDATE_FAILED",
        }
    }

    fn cancelled_reason(self) -> &'static str {
        match self {
            Self::Create => "Resource creation cancelled",
            Self::Update => "Resource update cancelled",
        }
    }
}

/// A resource that was not deployed.
#[derive(Debug, thiserror::Error)]
enum ResourceError {
    /// The action failed; the stack's events have the reason.
    #[error("{0:?} failed")]
    Failed(Action),
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] anyhow::Error),
}

/// The change that a resource needs; an existing resource is in its old state.
enum Change {
    None,
    Create,
    Update(StackResource),
    Replace(StackResource),
}

impl Deployment {
    /// Brings one resource to its desired state.
    ///
    /// # Errors
    /// The action that failed; the stack's events have the reason.
    pub async fn apply_resource(&self, id: &str, dependencies: BTreeSet<String>) -> Result<(), Action> {
        self.change_resource(id, dependencies)
            .await
            .map_err(|error| match error {
                ResourceError::Failed(action) => action,
                ResourceError::State(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(resource = id, error, "cannot store the state of a resource");
                    Action::Create
                }
            })
    }

    async fn change_resource(&self, id: &str, dependencies: BTreeSet<String>) -> Result<(), ResourceError> {
        let stack = self.operation.stack()?;
        let declared = &self.template.resources[id];
        let existing = stack.resources.get(id).cloned();
        let existing = existing.filter(|r| r.physical_id.is_some() && r.resource_type == declared.resource_type);
        let action = if existing.is_some() {
            Action::Update
        } else {
            Action::Create
        };
        let Some(resource_type) = self.operation.cx.resource_type(&declared.resource_type) else {
            let reason = format!("Unrecognized resource type: {}", declared.resource_type);
            return Err(self.fail(id, action, reason));
        };
        let evaluated = self.properties(id, &stack, resource_type.as_ref());
        let (properties, policies) = match evaluated.and_then(|found| Ok((found, self.policies(id)?))) {
            Ok(evaluated) => evaluated,
            Err(reason) => {
                self.operation.edit(|stack| {
                    let resource = stack.resources.entry(id.to_owned()).or_default();
                    resource.resource_type.clone_from(&declared.resource_type);
                })?;
                return Err(self.fail(id, action, reason.to_string()));
            }
        };
        let change = change(existing, resource_type.as_ref(), &properties, &stack);
        self.operation.edit(|stack| {
            let resource = stack.resources.entry(id.to_owned()).or_default();
            id.clone_into(&mut resource.logical_id);
            resource.resource_type.clone_from(&declared.resource_type);
            resource.depends_on = dependencies;
            resource.deletion_policy = policies.deletion;
            resource.update_replace_policy = policies.update_replace;
            resource.metadata.clone_from(&declared.metadata);
        })?;
        let desired = |properties: Value| Desired {
            stack_name: stack.name.clone(),
            stack_id: stack.id.clone(),
            logical_id: id.to_owned(),
            properties,
            tags: stack.definition.tags.clone(),
            initiated: Initiated::default(),
            cancel: self.cancel.clone(),
        };
        match change {
            Change::None => Ok(()),
            Change::Create => {
                self.set_resource_status(id, Action::Create.in_progress(), None)?;
                let (sender, receiver) = mpsc::unbounded_channel();
                let desired = |properties| Desired {
                    initiated: Initiated::new(sender.clone()),
                    ..desired(properties)
                };
                let creation = self.create(resource_type.as_ref(), &desired, &properties);
                let created = self.record_initiation(id, receiver, creation).await?;
                self.finish(id, Action::Create, created, properties, &stack)
            }
            Change::Update(old) => {
                self.set_resource_status(id, Action::Update.in_progress(), None)?;
                // Stored before the update: after a failure the resource may be in the attempted state.
                self.operation.edit(|stack| {
                    let tags = &stack.definition.tags;
                    if let Some(resource) = stack.resources.get_mut(id) {
                        resource.properties.clone_from(&properties);
                        resource.tags.clone_from(tags);
                    }
                })?;
                let operation = &self.operation;
                let updated = operation
                    .update_in_place(resource_type.as_ref(), &old, &desired, &properties)
                    .await;
                self.finish(id, Action::Update, updated, properties, &stack)
            }
            Change::Replace(old) => {
                let reason = "Requested update requires the creation of a new physical resource; hence creating one.";
                self.set_resource_status(id, Action::Update.in_progress(), Some(reason.to_owned()))?;
                let created = self.create(resource_type.as_ref(), &desired, &properties).await;
                if created.is_ok() {
                    self.operation.edit(|stack| stack.pending_deletion.push(old))?;
                }
                self.finish(id, Action::Update, created, properties, &stack)
            }
        }
    }

    /// Returns the values of a resource's properties, after validating their names.
    fn properties(
        &self,
        id: &str,
        stack: &Stack,
        resource_type: &dyn ResourceType,
    ) -> Result<Map<String, Value>, Failure> {
        let mut scope = self.scope.clone();
        scope.resources = resource_values(&stack.resources);
        let properties = scope.object(&self.template.resources[id].properties);
        let properties = properties.map_err(|error| Failure::new(error.to_string()))?;
        let checked = validate::properties(id, &resource_type.schema(), &properties);
        checked.map_err(|error| Failure::new(error.to_string()))?;
        Ok(properties)
    }

    fn policies(&self, id: &str) -> Result<Policies, Failure> {
        let policies = self.scope.policies(id, &self.template.resources[id]);
        policies.map_err(|error| Failure::new(error.to_string()))
    }

    async fn create(
        &self,
        resource_type: &dyn ResourceType,
        desired: &impl Fn(Value) -> Desired,
        properties: &Map<String, Value>,
    ) -> Result<Resource, Failure> {
        let cx = &self.operation.cx;
        let properties = dynamic_reference::resolve(cx, &Value::Object(properties.clone())).await?;
        resource_type.create(cx, &desired(properties)).await
    }

    /// Awaits a creation, and records an event as soon as the resource type reports a physical id.
    async fn record_initiation<T>(
        &self,
        id: &str,
        mut initiated: mpsc::UnboundedReceiver<String>,
        creation: impl Future<Output = T>,
    ) -> anyhow::Result<T> {
        tokio::pin!(creation);
        loop {
            tokio::select! {
                biased;
                Some(physical_id) = initiated.recv() => {
                    // Stored, so that an interrupted operation can delete the resource.
                    self.operation.edit(|stack| {
                        if let Some(resource) = stack.resources.get_mut(id) {
                            resource.physical_id = Some(physical_id);
                            resource.is_new = true;
                        }
                    })?;
                    self.set_resource_status(id, Action::Create.in_progress(), Some(INITIATED.to_owned()))?;
                }
                created = &mut creation => return Ok(created),
            }
        }
    }

    /// Stores the result of an action, and records its events.
    fn finish(
        &self,
        id: &str,
        action: Action,
        result: Result<Resource, Failure>,
        properties: Map<String, Value>,
        stack: &Stack,
    ) -> Result<(), ResourceError> {
        let resource = match result {
            Ok(resource) => resource,
            Err(_) if self.cancel.is_cancelled() => {
                return Err(self.fail(id, action, action.cancelled_reason().to_owned()));
            }
            Err(failure) => return Err(self.fail(id, action, failure.to_string())),
        };
        let current = self.operation.stack()?.resources.get(id).cloned();
        let is_initiated = current.is_some_and(|r| r.reason.as_deref() == Some(INITIATED));
        let previous = stack.resources.get(id);
        let is_replaced = previous.is_some_and(|r| r.physical_id.as_ref() != Some(&resource.physical_id));
        self.operation.edit(|stack| {
            let tags = &stack.definition.tags;
            if let Some(stored) = stack.resources.get_mut(id) {
                stored.is_new = is_replaced || action == Action::Create;
                stored.physical_id = Some(resource.physical_id);
                stored.attributes = resource.attributes;
                stored.properties = properties;
                stored.tags.clone_from(tags);
                stored.drift = None;
            }
        })?;
        if action == Action::Create && !is_initiated {
            self.set_resource_status(id, action.in_progress(), Some(INITIATED.to_owned()))?;
        }
        self.set_resource_status(id, action.complete(), None)?;
        Ok(())
    }

    fn fail(&self, id: &str, action: Action, reason: String) -> ResourceError {
        match self.set_resource_status(id, action.failed(), Some(reason)) {
            Ok(()) => ResourceError::Failed(action),
            Err(error) => ResourceError::State(error),
        }
    }

    fn set_resource_status(&self, id: &str, status: &str, reason: Option<String>) -> anyhow::Result<()> {
        self.operation.edit_resource(id, |resource| {
            resource.status = status.into();
            resource.reason = reason;
        })
    }
}

fn change(
    existing: Option<StackResource>,
    resource_type: &dyn ResourceType,
    properties: &Map<String, Value>,
    stack: &Stack,
) -> Change {
    let Some(old) = existing else { return Change::Create };
    let schema = resource_type.schema();
    let changed = differences(&old.properties, properties);
    let is_retagged = old.tags != stack.definition.tags && schema.properties.contains(&"Tags");
    if changed.iter().any(|d| replaces(&d.path, schema.create_only)) {
        Change::Replace(old)
    } else if !changed.is_empty() || is_retagged || old.status.ends_with("_FAILED") {
        Change::Update(old)
    } else {
        Change::None
    }
}
