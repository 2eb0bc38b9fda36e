//! Amazon ECS: clusters, task definitions, services and tasks.

mod capacity;
mod cluster;
pub mod credentials;
mod drive;
mod launch;
mod live;
mod model;
mod names;
mod plan;
mod scheduler;
mod secrets;
mod service_type;
mod services;
mod shape;
mod task_definition;
mod tasks;
mod wish;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::records::record_type;
use crate::service::{Call, Service};
use crate::{AwsError, Context, ResourceType};

pub use names::may_reach;

pub fn service() -> Arc<dyn Service> {
    Arc::new(EcsService)
}

struct EcsService;

/// What ECS holds while the endpoint runs; everything else is in the state.
#[derive(Default)]
pub struct Ecs {
    gate: Mutex<()>,
    /// Told when the scheduler has something new to look at.
    wake: Notify,
    /// How to tell the driver of a task that the task is to end; by the task's id.
    drivers: Mutex<HashMap<String, CancellationToken>>,
}

impl Ecs {
    /// Makes "look, then write" one step.
    fn hold(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn drivers(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.drivers.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[async_trait]
impl Service for EcsService {
    fn name(&self) -> &'static str {
        "ecs"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![
            record_type::<cluster::Cluster>(),
            record_type::<cluster::CapacityProviders>(),
            Arc::new(task_definition::TaskDefinition),
            Arc::new(service_type::ServiceType),
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "CreateCluster" => cluster::create(cx, &call),
            "DescribeClusters" => cluster::describe(cx, &call),
            "ListClusters" => cluster::list(cx, &call),
            "DeleteCluster" => cluster::delete(cx, &call),
            "RegisterTaskDefinition" => task_definition::register_call(cx, &call),
            "DeregisterTaskDefinition" => task_definition::deregister(cx, &call.required("taskDefinition")?),
            "DescribeTaskDefinition" => task_definition::describe(cx, &call),
            "ListTaskDefinitions" => task_definition::list_arns(cx, &call),
            "ListTaskDefinitionFamilies" => task_definition::families(cx),
            "CreateService" => services::create(cx, &call),
            "UpdateService" => services::update(cx, &call),
            "DeleteService" => services::delete(cx, &call),
            "DescribeServices" => services::describe(cx, &call),
            "ListServices" => services::list(cx, &call),
            "RunTask" => tasks::run(cx, &call),
            "StopTask" => tasks::stop(cx, &call),
            "ListTasks" => tasks::list(cx, &call),
            "DescribeTasks" => tasks::describe(cx, &call),
            "ListTagsForResource" => tags(cx, &call),
            other => Err(AwsError::not_implemented("ecs", other)),
        }
    }

    async fn start(&self, cx: &Context) -> anyhow::Result<()> {
        drive::adopt(cx)?;
        tokio::spawn(scheduler::run(cx.clone()));
        Ok(())
    }

    async fn stop(&self, cx: &Context) {
        drive::end_all(cx).await;
    }
}

fn tags(cx: &Context, call: &Call) -> Result<Value, AwsError> {
    let arn = call.required("resourceArn")?;
    let kind = arn
        .split(':')
        .nth(5)
        .and_then(|rest| rest.split('/').next())
        .unwrap_or_default()
        .to_owned();
    let name = |n: usize| arn.split('/').nth(n).unwrap_or_default();
    let none = || invalid("The specified resource ARN is not one of a resource that exists.");
    let found = match kind.as_str() {
        "cluster" => cluster::named(cx, Some(&arn))?.tags,
        "service" => model::service(cx, name(1), name(2))?.ok_or_else(none)?.tags,
        "task" => model::task(cx, name(2))?.ok_or_else(none)?.tags,
        "task-definition" => return Ok(json!({"tags": task_definition::named(cx, &arn)?["tags"]})),
        _ => return Err(none()),
    };
    Ok(json!({"tags": tag_list(&found)}))
}

fn tag_list(tags: &indexmap::IndexMap<String, String>) -> Value {
    tags.iter().map(|(k, v)| json!({"key": k, "value": v})).collect()
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterException", message)
}

fn with_token(mut answer: Value, token: Option<String>) -> Value {
    if let Some(token) = token {
        answer["nextToken"] = token.into();
    }
    answer
}
