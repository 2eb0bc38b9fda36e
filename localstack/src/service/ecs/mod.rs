//! Amazon ECS: clusters, task definitions, services and tasks.

mod capacity;
mod cluster;
mod container_monitor;
pub(crate) mod credentials;
mod deployment_configuration;
mod deployments;
mod error;
pub mod fargate;
mod launch;
mod members;
mod model;
mod rolling_update;
mod scheduler;
mod secrets;
mod service_deployments;
mod service_discovery;
mod service_spec;
mod service_type;
mod services;
mod spec;
mod state;
mod task_definition;
mod task_lifecycle;
mod tasks;
mod traffic_shift;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use self::error::invalid_parameter;
use self::members::tag_list;
use crate::records::record_type;
use crate::service::{Call, Service};
use crate::{AwsError, Context, ResourceType};

pub(crate) use service_discovery::security_groups_allow_task;

/// Returns the ECS service.
pub fn service() -> Arc<dyn Service> {
    Arc::new(EcsService)
}

struct EcsService;

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
            "DescribeServiceDeployments" => service_deployments::describe(cx, &call),
            "ListServiceDeployments" => service_deployments::list(cx, &call),
            "RunTask" => tasks::run(cx, &call),
            "StopTask" => tasks::stop(cx, &call),
            "ListTasks" => tasks::list(cx, &call),
            "DescribeTasks" => tasks::describe(cx, &call),
            "ListTagsForResource" => tags(cx, &call),
            other => Err(AwsError::not_implemented("ecs", other)),
        }
    }

    async fn start(&self, cx: &Context) -> anyhow::Result<()> {
        task_lifecycle::adopt(cx).await?;
        cx.keep_running("ecs.scheduler", scheduler::run);
        Ok(())
    }

    async fn stop(&self, cx: &Context) {
        task_lifecycle::stop_all(cx).await;
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
    let missing = || invalid_parameter("The specified resource ARN does not name an existing resource.");
    let found = match kind.as_str() {
        "cluster" => model::cluster(cx, Some(&arn))?.tags,
        "service" => model::service(cx, name(1), name(2))?.ok_or_else(missing)?.tags,
        "task" => model::task(cx, name(2))?.ok_or_else(missing)?.tags,
        "task-definition" => return Ok(json!({"tags": task_definition::named(cx, &arn)?["tags"]})),
        _ => return Err(missing()),
    };
    Ok(json!({"tags": tag_list(&found)}))
}
