//! Amazon ECS: clusters, task definitions, services and tasks.

mod account_settings;
mod adoption;
mod capacity;
mod cluster;
mod container_monitor;
pub(crate) mod credentials;
mod definition_rules;
mod dependencies;
mod deployment_configuration;
mod deployments;
mod environment;
mod error;
pub mod fargate;
mod launch;
mod members;
pub(crate) mod memory_limits;
pub(crate) mod metadata;
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
mod tagging;
mod task_containers;
mod task_definition;
mod task_lifecycle;
mod tasks;
mod traffic_shift;
mod volume_rules;
mod volumes;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

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
            "CreateCluster" => cluster::create(cx, &call).await,
            "DescribeClusters" => cluster::describe(cx, &call),
            "UpdateCluster" | "UpdateClusterSettings" | "PutClusterCapacityProviders" => {
                cluster::update(cx, &call).await
            }
            "DescribeCapacityProviders" => Ok(capacity::describe(cx, &call)),
            "ListAccountSettings" => account_settings::list(cx, &call),
            "PutAccountSetting" | "PutAccountSettingDefault" | "DeleteAccountSetting" => {
                account_settings::change(cx, &call)
            }
            // Fargate has no container instances.
            "ListContainerInstances" => {
                model::cluster(cx, call.text("cluster").as_deref())?;
                Ok(json!({"containerInstanceArns": []}))
            }
            "DeleteTaskDefinitions" => task_definition::delete_all(cx, &call),
            "TagResource" | "UntagResource" => tagging::change(cx, &call),
            "ListClusters" => cluster::list(cx, &call),
            "DeleteCluster" => cluster::delete(cx, &call),
            "RegisterTaskDefinition" => task_definition::register_call(cx, &call),
            "DeregisterTaskDefinition" => task_definition::deregister(cx, &call.required("taskDefinition")?),
            "DescribeTaskDefinition" => task_definition::describe(cx, &call),
            "ListTaskDefinitions" => task_definition::list_arns(cx, &call),
            "ListTaskDefinitionFamilies" => task_definition::families(cx, &call),
            "CreateService" => services::create(cx, &call),
            "UpdateService" => services::update(cx, &call),
            "DeleteService" => services::delete(cx, &call),
            "DescribeServices" => services::describe(cx, &call),
            "ListServices" => services::list(cx, &call),
            "DescribeServiceDeployments" => service_deployments::describe(cx, &call),
            "ListServiceDeployments" => service_deployments::list(cx, &call),
            "RunTask" => tasks::run(cx, &call),
            // The session is one of Systems Manager, with a separate protocol over a WebSocket.
            "ExecuteCommand" => Err(AwsError::new(
                "InvalidParameterException",
                "The execute command failed: the embedded endpoint has no sessions of Systems Manager. A container's output is in its log \
                 group.",
            )),
            "StopTask" => tasks::stop(cx, &call),
            "ListTasks" => tasks::list(cx, &call),
            "DescribeTasks" => tasks::describe(cx, &call),
            "ListTagsForResource" => tagging::list(cx, &call),
            other => Err(AwsError::not_implemented("ecs", other)),
        }
    }

    async fn start(&self, cx: &Context) -> anyhow::Result<()> {
        adoption::adopt(cx).await?;
        cx.keep_running("ecs.scheduler", scheduler::run);
        Ok(())
    }

    async fn stop(&self, cx: &Context) {
        task_lifecycle::stop_all(cx).await;
    }
}
