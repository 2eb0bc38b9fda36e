//! What ECS keeps: services with their deployments, and tasks with their containers.

use std::net::Ipv4Addr;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::runtime::task::Identity;
use crate::{AwsError, Context};

const SERVICES: &str = "ecs.services";
const TASKS: &str = "ecs.tasks";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    pub name: String,
    /// The cluster's name.
    pub cluster: String,
    pub arn: String,
    /// `ACTIVE`, `DRAINING` or `INACTIVE`.
    pub status: String,
    pub wish: Wish,
    pub desired: u32,
    /// The newest (PRIMARY) first.
    pub deployments: Vec<Deployment>,
    /// The newest first.
    pub events: Vec<Event>,
    pub tags: IndexMap<String, String>,
    /// Keys of tags that came from the stack.
    #[serde(default)]
    pub inherited: Vec<String>,
    /// The properties in the template's form, when a template made it.
    #[serde(default)]
    pub properties: Value,
    /// Milliseconds since 1970.
    pub created: i64,
}

/// What a caller says about a service besides its name and count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Wish {
    /// The task definition's ARN.
    pub task_definition: String,
    pub minimum_percent: u32,
    pub maximum_percent: u32,
    pub breaker: bool,
    pub rollback: bool,
    pub load_balancers: Vec<LoadBalancer>,
    pub registries: Vec<Registry>,
    pub security_groups: Vec<String>,
    /// As given; shown again in descriptions.
    pub network: Value,
    pub grace_seconds: i64,
    pub launch_type: String,
    /// The capacity provider strategy, in place of the launch type; null where there is none.
    #[serde(default)]
    pub capacity: Value,
    pub enable_execute_command: bool,
    pub propagate_tags: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadBalancer {
    pub target_group: String,
    pub container: String,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registry {
    /// The Cloud Map service's ARN.
    pub arn: String,
    pub port: Option<u16>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deployment {
    /// `ecs-svc/` and 19 digits.
    pub id: String,
    pub wish: Wish,
    pub created: i64,
    pub updated: i64,
    pub failed_tasks: u32,
    /// Failures since the last task that lived: decides the pause before the next start.
    #[serde(default)]
    pub in_a_row: u32,
    /// No task is started before this moment.
    #[serde(default)]
    pub not_before: i64,
    pub rollout: Rollout,
    pub reason: String,
    /// Why the last failed task stopped.
    #[serde(default)]
    pub last_failure: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rollout {
    InProgress,
    Completed,
    Failed,
}

impl Rollout {
    pub fn name(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    pub id: String,
    pub at: i64,
    pub message: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// 32 hexadecimal digits.
    pub id: String,
    pub cluster: String,
    /// None for a task of RunTask.
    pub service: Option<String>,
    pub deployment: Option<String>,
    pub wish: Wish,
    pub address: Ipv4Addr,
    pub last_status: Status,
    /// Whether it is to end.
    pub stopping: bool,
    /// Whether its end speaks against its deployment.
    pub failed: bool,
    /// Whether the scheduler has taken note of its end.
    pub counted: bool,
    pub created: i64,
    pub started: Option<i64>,
    pub stopping_at: Option<i64>,
    pub stopped: Option<i64>,
    pub stop_code: Option<String>,
    pub stopped_reason: Option<String>,
    pub started_by: Option<String>,
    /// What RunTask lays over the task definition.
    #[serde(default)]
    pub overrides: Value,
    pub containers: Vec<ContainerState>,
    pub tags: IndexMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Status {
    Provisioning,
    Pending,
    Running,
    Deactivating,
    Stopping,
    Stopped,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Stopped => "STOPPED",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerState {
    pub name: String,
    pub image: String,
    pub status: Status,
    pub supervisor: Option<Identity>,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    /// `HEALTHY`, `UNHEALTHY` or `UNKNOWN`.
    pub health: String,
}

impl Service {
    pub fn key(&self) -> String {
        key(&self.cluster, &self.name)
    }

    /// Says something in the service's events; the last hundred are kept.
    pub fn say(&mut self, at: i64, words: impl std::fmt::Display) {
        let message = format!("(service {}) {words}", self.name);
        self.events.insert(
            0,
            Event {
                id: uuid::Uuid::new_v4().to_string(),
                at,
                message,
            },
        );
        self.events.truncate(100);
    }

    pub fn put(&self, cx: &Context) -> Result<(), AwsError> {
        Ok(cx.store().put(SERVICES, &self.key(), self)?)
    }
}

impl Task {
    pub fn arn(&self, cx: &Context) -> String {
        cx.arn("ecs", &format!("task/{}/{}", self.cluster, self.id))
    }

    pub fn is_live(&self) -> bool {
        self.last_status != Status::Stopped
    }

    /// `HEALTHY` when every container with a check is; `UNKNOWN` when none has one or one is not known yet.
    pub fn health(&self, definition: &Value) -> &'static str {
        let checked: Vec<&str> = self
            .containers
            .iter()
            .filter(|c| {
                super::task_definition::container(definition, &c.name).is_some_and(|d| d.get("healthCheck").is_some())
            })
            .map(|c| c.health.as_str())
            .collect();
        match () {
            () if checked.is_empty() || checked.contains(&"UNKNOWN") => "UNKNOWN",
            () if checked.contains(&"UNHEALTHY") => "UNHEALTHY",
            () => "HEALTHY",
        }
    }

    pub fn put(&self, cx: &Context) -> Result<(), AwsError> {
        Ok(cx.store().put(TASKS, &self.id, self)?)
    }
}

pub fn key(cluster: &str, service: &str) -> String {
    format!("{cluster}/{service}")
}

pub fn services(cx: &Context) -> Result<Vec<Service>, AwsError> {
    Ok(cx
        .store()
        .list(SERVICES)?
        .into_iter()
        .map(|(_, service)| service)
        .collect())
}

pub fn service(cx: &Context, cluster: &str, name: &str) -> Result<Option<Service>, AwsError> {
    Ok(cx.store().get(SERVICES, &key(cluster, name))?)
}

pub fn tasks(cx: &Context) -> Result<Vec<Task>, AwsError> {
    Ok(cx.store().list(TASKS)?.into_iter().map(|(_, task)| task).collect())
}

pub fn task(cx: &Context, id: &str) -> Result<Option<Task>, AwsError> {
    Ok(cx.store().get(TASKS, id)?)
}

pub fn forget_task(cx: &Context, id: &str) -> Result<(), AwsError> {
    cx.store().delete(TASKS, id)?;
    let _ = std::fs::remove_dir_all(folder(cx, id));
    Ok(())
}

/// Where a task's containers have their folders.
pub fn folder(cx: &Context, task: &str) -> std::path::PathBuf {
    cx.state_dir().join("tasks").join(task)
}
