//! Operations on stacks: one at a time on each, in the background.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::dynamic_reference;
use crate::stack::{self, Stack, StackResource};
use endpoint_core::{Context, Desired, Failure, Resource, ResourceType};

/// The running operations, by stack id.
#[derive(Default)]
struct Operations(Mutex<HashMap<String, StackOperation>>);

/// A running operation on a stack.
#[derive(Clone)]
pub struct StackOperation {
    pub cx: Context,
    pub stack_id: String,
    /// Cancelled when a client cancels the operation, or another operation replaces it.
    pub cancel: CancellationToken,
    is_superseded: Arc<AtomicBool>,
    done: CancellationToken,
}

impl StackOperation {
    /// Returns true if another operation waits to take over, or the endpoint stops. This one must then return at once and leave
    /// the stack unchanged.
    pub fn is_superseded(&self) -> bool {
        self.is_superseded.load(Ordering::SeqCst) || self.cx.shutdown().is_cancelled()
    }

    /// Returns the token for the resources of a rollback, which only the end of the endpoint cancels.
    pub fn rollback_cancel(&self) -> CancellationToken {
        self.cx.shutdown().child_token()
    }

    /// Returns the stack.
    ///
    /// # Errors
    /// When the state cannot be read, as for all functions here; or cannot be written.
    pub fn stack(&self) -> anyhow::Result<Stack> {
        Ok(stack::existing(&self.cx, &self.stack_id)?)
    }

    /// Changes the stack.
    ///
    /// # Errors
    /// As for `stack`.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Stack) -> T) -> anyhow::Result<T> {
        stack::edit(&self.cx, &self.stack_id, change)
    }

    /// Sets the stack's status, and records an event.
    ///
    /// # Errors
    /// As for `stack`.
    pub fn set_status(&self, status: &str, reason: Option<String>) -> anyhow::Result<()> {
        self.end(status, reason, |_| {})
    }

    /// Changes the stack and sets its status in one transaction, and records an event.
    ///
    /// # Errors
    /// As for `stack`.
    pub fn end(&self, status: &str, reason: Option<String>, change: impl FnOnce(&mut Stack)) -> anyhow::Result<()> {
        set_status(&self.cx, &self.stack_id, status, reason, change)
    }

    /// Changes one resource, and records an event with its status.
    ///
    /// # Errors
    /// As for `stack`.
    pub fn edit_resource(&self, logical_id: &str, change: impl FnOnce(&mut StackResource)) -> anyhow::Result<()> {
        self.cx.store().transaction(|| {
            let stack = self.edit(|stack| {
                let resource = stack.resources.entry(logical_id.to_owned()).or_default();
                logical_id.clone_into(&mut resource.logical_id);
                change(resource);
                resource.updated = stack::now();
                stack.clone()
            })?;
            stack.record_event(&self.cx, stack.resources.get(logical_id))
        })
    }

    /// Stores the physical id of a new resource, and the resource that it replaces, which the clean-up deletes.
    ///
    /// # Errors
    /// As for `stack`.
    pub fn record_initiation(
        &self,
        logical_id: &str,
        physical_id: &str,
        replaced: Option<&StackResource>,
    ) -> anyhow::Result<()> {
        self.cx.store().transaction(|| {
            self.edit(|stack| stack.pending_deletion.extend(replaced.cloned()))?;
            self.edit_resource(logical_id, |resource| {
                resource.physical_id = Some(physical_id.to_owned());
                resource.is_new = true;
                resource.reason = Some("Resource creation Initiated".to_owned());
            })
        })
    }

    /// Updates a resource in place. Dynamic references are resolved in the new properties, and in the old ones if possible.
    ///
    /// # Errors
    /// The reason of the resource type, or of a dynamic reference that cannot be resolved.
    pub async fn update_in_place(
        &self,
        resource_type: &dyn ResourceType,
        old: &StackResource,
        desired: &impl Fn(Value) -> Desired,
        properties: &Map<String, Value>,
    ) -> Result<Resource, Failure> {
        let before = Value::Object(old.properties.clone());
        let before = dynamic_reference::resolve(&self.cx, &before).await.unwrap_or(before);
        let properties = dynamic_reference::resolve(&self.cx, &Value::Object(properties.clone())).await?;
        let physical_id = old.physical_id.as_deref().unwrap_or_default();
        resource_type
            .update(&self.cx, physical_id, &before, &desired(properties))
            .await
    }
}

/// Changes a stack and sets its status in one transaction, and records an event.
///
/// # Errors
/// When the state cannot be read or written.
pub fn set_status(
    cx: &Context,
    stack_id: &str,
    status: &str,
    reason: Option<String>,
    change: impl FnOnce(&mut Stack),
) -> anyhow::Result<()> {
    cx.store().transaction(|| {
        let stack = stack::edit(cx, stack_id, |stack| {
            change(stack);
            stack.status = status.into();
            stack.reason = reason;
            stack.clone()
        })?;
        stack.record_event(cx, None)
    })
}

/// Runs an operation in the background. A running operation on the stack is superseded, and has ended before this one starts.
pub fn start<F>(cx: &Context, stack_id: &str, run: impl FnOnce(StackOperation) -> F + Send + 'static)
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let operations = cx.extension::<Operations>();
    let operation = StackOperation {
        cx: cx.clone(),
        stack_id: stack_id.to_owned(),
        cancel: CancellationToken::new(),
        is_superseded: Arc::default(),
        done: CancellationToken::new(),
    };
    let previous = operations.0.lock().insert(stack_id.to_owned(), operation.clone());
    if let Some(previous) = &previous {
        previous.is_superseded.store(true, Ordering::SeqCst);
        previous.cancel.cancel();
    }
    tokio::spawn(async move {
        let _done = operation.done.clone().drop_guard();
        if let Some(previous) = previous {
            previous.done.cancelled().await;
        }
        if let Err(error) = run(operation.clone()).await {
            tracing::error!(stack = %operation.stack_id, error = format!("{error:#}"), "a stack operation aborted");
        }
        let mut running = operations.0.lock();
        let current = running.get(&operation.stack_id);
        if current.is_some_and(|current| Arc::ptr_eq(&current.is_superseded, &operation.is_superseded)) {
            running.remove(&operation.stack_id);
        }
    });
}

/// Cancels the running operation of a stack, which then rolls back.
pub fn cancel(cx: &Context, stack_id: &str) {
    if let Some(operation) = cx.extension::<Operations>().0.lock().get(stack_id) {
        operation.cancel.cancel();
    }
}

/// Stops all operations when the endpoint stops, and waits at most five seconds for each.
pub async fn stop_all(cx: &Context) {
    let running: Vec<StackOperation> = cx.extension::<Operations>().0.lock().values().cloned().collect();
    for operation in running {
        operation.is_superseded.store(true, Ordering::SeqCst);
        operation.cancel.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(5), operation.done.cancelled()).await;
    }
}
