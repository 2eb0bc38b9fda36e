//! Creation, update and replacement of one resource.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Deployment;
use crate::compare::{differences, replaces};
use crate::dynamic_reference;
use crate::policy::Policies;
use crate::stack::{Stack, StackResource};
use crate::stack_scope::resource_values;
use crate::validate;
use endpoint_core::{Desired, Failure, Initiated, Resource, ResourceType};

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
                let created = self.create(resource_type.as_ref(), desired, &properties, None).await;
                self.finish(id, Action::Create, created, properties)
            }
            Change::Update(old) => {
                // Stored before the update: after a failure the resource may be in the attempted state.
                self.operation.edit_resource(id, |resource| {
                    resource.status = Action::Update.in_progress().into();
                    resource.reason = None;
                    resource.properties.clone_from(&properties);
                    resource.tags.clone_from(&stack.definition.tags);
                })?;
                let operation = &self.operation;
                let updated = operation
                    .update_in_place(resource_type.as_ref(), &old, &desired, &properties)
                    .await;
                self.finish(id, Action::Update, updated, properties)
            }
            Change::Replace(old) => {
                let reason = "Requested update requires the creation of a new physical resource; hence creating one.";
                self.set_resource_status(id, Action::Update.in_progress(), Some(reason.to_owned()))?;
                let created = self
                    .create(resource_type.as_ref(), desired, &properties, Some(old))
                    .await;
                self.finish(id, Action::Update, created, properties)
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

    /// Creates a resource, which may replace one.
    async fn create(
        &self,
        resource_type: &dyn ResourceType,
        desired: impl Fn(Value) -> Desired,
        properties: &Map<String, Value>,
        replaced: Option<StackResource>,
    ) -> Result<Resource, Failure> {
        let cx = &self.operation.cx;
        let properties = dynamic_reference::resolve(cx, &Value::Object(properties.clone())).await?;
        let mut desired = desired(properties);
        let (operation, id) = (self.operation.clone(), desired.logical_id.clone());
        let initiated =
            Initiated::new(move |physical_id| operation.record_initiation(&id, physical_id, replaced.as_ref()));
        desired.initiated = initiated.clone();
        let resource = resource_type.create(cx, &desired).await?;
        let stack = self.operation.stack()?;
        let stored = stack.resources.get(&desired.logical_id);
        if stored.and_then(|stored| stored.physical_id.as_ref()) != Some(&resource.physical_id) {
            initiated.report(&resource.physical_id)?;
        }
        Ok(resource)
    }

    /// Stores the result of an action, and records its event.
    fn finish(
        &self,
        id: &str,
        action: Action,
        result: Result<Resource, Failure>,
        properties: Map<String, Value>,
    ) -> Result<(), ResourceError> {
        let resource = match result {
            Ok(resource) => resource,
            Err(_) if self.cancel.is_cancelled() => {
                return Err(self.fail(id, action, action.cancelled_reason().to_owned()));
            }
            Err(failure) => return Err(self.fail(id, action, failure.to_string())),
        };
        let tags = self.operation.stack()?.definition.tags;
        Ok(self.operation.edit_resource(id, |stored| {
            stored.physical_id = Some(resource.physical_id);
            stored.attributes = resource.attributes;
            stored.properties = properties;
            stored.tags = tags;
            stored.drift = None;
            stored.status = action.complete().into();
            stored.reason = None;
        })?)
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
