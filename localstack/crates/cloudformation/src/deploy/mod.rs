//! Creates and updates a stack's resources, concurrently where their dependencies permit.

mod outputs;
mod resource;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::expression::EvaluationError;
use crate::graph::graph;
use crate::operation::StackOperation;
use crate::scope::Scope;
use crate::stack_scope::stack_scope;
use crate::template::Template;
use endpoint_core::AwsError;
use resource::Action;

/// A deployment that did not complete. The wording is that of CloudFormation's stack events.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    #[error("{}", .0.message)]
    Scope(AwsError),
    #[error("{0}")]
    Resources(FailedResources),
    #[error("Stack creation time exceeded the specified timeout.")]
    Timeout,
    #[error("User Initiated")]
    Cancelled,
    #[error("The endpoint was stopped while the operation ran.")]
    EndpointStopped,
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    #[error("Template format error: Output {0} is malformed. The Value is not a string.")]
    OutputNotText(String),
    #[error("Export with name {name} is already exported by stack {stack_id}.")]
    ExportExists { name: String, stack_id: String },
    #[error("Export {name} cannot be deleted or changed as it is in use by {}", importers.join(" and "))]
    ExportInUse { name: String, importers: Vec<String> },
    /// Another operation takes over, and the stack must be left unchanged.
    #[error("another operation replaced this one")]
    Superseded,
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] anyhow::Error),
}

/// Logical ids of the resources that failed.
#[derive(Debug, Default)]
pub struct FailedResources {
    creations: Vec<String>,
    updates: Vec<String>,
}

impl FailedResources {
    fn push(&mut self, id: String, action: Action) {
        match action {
            Action::Create => self.creations.push(id),
            Action::Update => self.updates.push(id),
        }
    }

    fn is_empty(&self) -> bool {
        self.creations.is_empty() && self.updates.is_empty()
    }
}

impl fmt::Display for FailedResources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = |action: &str, ids: &[String]| {
            let ids = Some(ids.join(", ")).filter(|ids| !ids.is_empty())?;
            Some(format!("The following resource(s) failed to {action}: [{ids}]."))
        };
        let sentences = [sentence("create", &self.creations), sentence("update", &self.updates)];
        f.write_str(&sentences.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }
}

/// The state that the resources of one deployment share.
struct Deployment {
    operation: StackOperation,
    template: Template,
    scope: Scope,
    /// Cancelled at the first failure, so that the other resources stop soon.
    cancel: CancellationToken,
}

/// Creates and updates the resources of the stack's definition, and sets its outputs. Replaced and removed resources become
/// pending deletion.
///
/// # Errors
/// The reason that the stack shows, unless the operation is superseded or the state cannot be read or written.
pub async fn deploy(operation: &StackOperation) -> Result<(), DeploymentError> {
    let stack = operation.stack()?;
    let template = stack.definition.template().map_err(anyhow::Error::from)?;
    let values = &stack.definition.parameter_values;
    let scope = stack_scope(&operation.cx, &stack, &template, values, &stack.resources).await;
    let scope = scope.map_err(DeploymentError::Scope)?;
    let mut waiting = graph(&template, &scope);
    let cancel = operation.cancel.child_token();
    let deployment = Arc::new(Deployment {
        operation: operation.clone(),
        template,
        scope,
        cancel: cancel.clone(),
    });
    let mut complete = HashSet::new();
    let mut failed = FailedResources::default();
    let mut running = JoinSet::new();
    let timeout = stack.timeout_minutes.filter(|_| stack.status == "CREATE_IN_PROGRESS");
    let timeout = timeout.map_or(Duration::from_secs(1 << 31), |minutes| {
        Duration::from_secs(minutes * 60)
    });
    let deadline = tokio::time::sleep(timeout);
    tokio::pin!(deadline);
    let mut timed_out = false;
    loop {
        if !cancel.is_cancelled() {
            let startable: Vec<String> = waiting
                .iter()
                .filter(|(_, dependencies)| dependencies.iter().all(|id| complete.contains(id)))
                .map(|(id, _)| id.clone())
                .collect();
            for id in startable {
                let dependencies = waiting.shift_remove(&id).unwrap_or_default();
                let deployment = deployment.clone();
                running.spawn(async move {
                    let result = deployment.apply_resource(&id, dependencies).await;
                    (id, result)
                });
            }
        }
        let next = tokio::select! {
            next = running.join_next() => next,
            () = &mut deadline, if !timed_out => {
                timed_out = true;
                cancel.cancel();
                continue;
            }
        };
        match next {
            None => break,
            Some(Ok((id, Ok(())))) => {
                complete.insert(id);
            }
            Some(Ok((id, Err(action)))) => {
                failed.push(id, action);
                cancel.cancel();
            }
            Some(Err(panic)) => {
                failed.push(format!("(internal error: {panic})"), Action::Create);
                cancel.cancel();
            }
        }
    }
    if operation.is_superseded() {
        return Err(DeploymentError::Superseded);
    }
    if timed_out {
        return Err(DeploymentError::Timeout);
    }
    if !failed.is_empty() {
        return Err(DeploymentError::Resources(failed));
    }
    if operation.cancel.is_cancelled() {
        return Err(DeploymentError::Cancelled);
    }
    deployment.set_outputs()
}
