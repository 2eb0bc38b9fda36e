//! ECS records in the store: clusters, services with their deployments, and tasks with their containers.

use std::net::Ipv4Addr;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spec::ServiceSpec;
use super::state::EcsState;
use super::task_definition;
use crate::records::{Record, Records};
use crate::runtime::task::Identity;
use crate::{AwsError, Context};

pub const CLUSTERS: Records = Records("ecs.clusters");
/// Records of `AWS::ECS::ClusterCapacityProviderAssociations`, by cluster name.
pub const CAPACITY_PROVIDER_ASSOCIATIONS: Records = Records("ecs.capacity-providers");
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
    pub spec: ServiceSpec,
    pub desired: u32,
    /// The newest (PRIMARY) first.
    pub deployments: Vec<Deployment>,
    /// The newest first.
    pub events: Vec<ServiceEvent>,
    pub tags: IndexMap<String, String>,
    /// Keys of tags that came from the stack.
    #[serde(default)]
    pub inherited: Vec<String>,
    /// The properties in the template's form, if a template created the service.
    #[serde(default)]
    pub properties: Value,
    /// Milliseconds since 1970.
    pub created: i64,
    /// Makes a repeated `CreateService` return the service of the first one.
    #[serde(default)]
    pub client_token: Option<ClientToken>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deployment {
    /// `ecs-svc/` and 19 digits.
    pub id: String,
    pub spec: ServiceSpec,
    pub created: i64,
    pub updated: i64,
    pub failed_tasks: u32,
    /// Failures since the last task that ran long enough. They determine the delay before the next start.
    #[serde(default)]
    pub consecutive_failures: u32,
    /// The earliest time of the next start, in milliseconds since 1970.
    #[serde(default)]
    pub retry_after: i64,
    pub rollout_state: RolloutState,
    pub reason: String,
    /// The reason why the last failed task stopped.
    #[serde(default)]
    pub last_failure: Option<String>,
    /// The target group of its tasks, if it is not the one that the parameters name.
    #[serde(default)]
    pub target_group: Option<String>,
    /// The movement of requests to its tasks; `None` if there was no former deployment, or for a rolling one.
    #[serde(default)]
    pub shift: Option<TrafficShift>,
    /// True if it was resumed because a later one failed.
    #[serde(default)]
    pub rolled_back: bool,
    /// True once the alarms were read for the first time.
    #[serde(default)]
    pub alarms_read: bool,
    /// Alarms that were raised before the deployment, which ignores them.
    #[serde(default)]
    pub ignored_alarms: Vec<String>,
    /// Alarms that failed the deployment.
    #[serde(default)]
    pub triggered_alarms: Vec<String>,
}

/// The movement of requests from one target group to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrafficShift {
    pub stage: ShiftStage,
    /// The target group of the former tasks.
    pub blue: String,
    /// The target group of the new tasks.
    pub green: String,
    /// The part of the requests that the new tasks get.
    pub percent: f64,
    /// Start of the current step, in milliseconds since 1970.
    pub since: i64,
}

/// Stages of a deployment, as ECS names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShiftStage {
    ScaleUp,
    ProductionTrafficShift,
    BakeTime,
    CleanUp,
}

impl ShiftStage {
    pub fn name(self) -> &'static str {
        match self {
            Self::ScaleUp => "SCALE_UP",
            Self::ProductionTrafficShift => "PRODUCTION_TRAFFIC_SHIFT",
            Self::BakeTime => "BAKE_TIME",
            Self::CleanUp => "CLEAN_UP",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RolloutState {
    InProgress,
    Completed,
    Failed,
}

impl RolloutState {
    pub fn name(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
        }
    }
}

/// A message in a service's event list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceEvent {
    pub id: String,
    pub at: i64,
    pub message: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// 32 hexadecimal digits.
    pub id: String,
    pub cluster: String,
    /// `None` for a task of `RunTask`.
    pub service: Option<String>,
    pub deployment: Option<String>,
    pub spec: ServiceSpec,
    pub address: Ipv4Addr,
    pub last_status: Status,
    /// True once the task was asked to stop.
    pub stopping: bool,
    /// True if the task counts as a failure of its deployment.
    pub failed: bool,
    /// True once the scheduler has recorded the end of the task.
    pub end_recorded: bool,
    pub created: i64,
    pub started: Option<i64>,
    pub stopping_at: Option<i64>,
    pub stopped: Option<i64>,
    pub stop_code: Option<String>,
    pub stopped_reason: Option<String>,
    pub started_by: Option<String>,
    /// The overrides of `RunTask` to the task definition.
    #[serde(default)]
    pub overrides: Value,
    pub containers: Vec<ContainerState>,
    pub tags: IndexMap<String, String>,
    /// Makes a repeated `RunTask` return the tasks of the first one.
    #[serde(default)]
    pub client_token: Option<ClientToken>,
}

/// The `clientToken` of `RunTask` or `CreateService`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientToken {
    pub token: String,
    /// The SHA-256 of the other members of the request.
    pub request: String,
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

    /// Adds a service event. The newest hundred are kept.
    pub fn add_event(&mut self, at: i64, message: impl std::fmt::Display) {
        let message = format!("(service {}) {message}", self.name);
        let id = uuid::Uuid::new_v4().to_string();
        self.events.insert(0, ServiceEvent { id, at, message });
        self.events.truncate(100);
    }

    /// Returns true if the task was started for this service.
    pub fn owns(&self, task: &Task) -> bool {
        task.cluster == self.cluster && task.service.as_ref() == Some(&self.name)
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

    /// Returns `HEALTHY` if all containers with a health check are healthy, and `UNKNOWN` if no container has one or a
    /// result is still missing.
    pub fn health(&self, definition: &Value) -> &'static str {
        let has_check = |c: &&ContainerState| {
            task_definition::container(definition, &c.name).is_some_and(|d| d.get("healthCheck").is_some())
        };
        let checked: Vec<&str> = self
            .containers
            .iter()
            .filter(has_check)
            .map(|c| c.health.as_str())
            .collect();
        match () {
            () if checked.is_empty() || checked.contains(&"UNKNOWN") => "UNKNOWN",
            () if checked.contains(&"UNHEALTHY") => "UNHEALTHY",
            () => "HEALTHY",
        }
    }

    /// Returns true if the task passes its container health checks. Without any, a task is healthy while it runs.
    pub fn passes_container_checks(&self, definition: &Value) -> bool {
        !task_definition::has_health_checks(definition) || self.health(definition) == "HEALTHY"
    }

    pub fn put(&self, cx: &Context) -> Result<(), AwsError> {
        Ok(cx.store().put(TASKS, &self.id, self)?)
    }
}

pub fn cluster_arn(cx: &Context, name: &str) -> String {
    cx.arn("ecs", &format!("cluster/{name}"))
}

/// Returns a cluster by name or ARN; `default` if the caller names none.
///
/// # Errors
/// `ClusterNotFoundException`.
pub fn cluster(cx: &Context, name: Option<&str>) -> Result<Record, AwsError> {
    let name = name.unwrap_or("default");
    CLUSTERS
        .get(cx, name.rsplit('/').next().unwrap_or(name))?
        .ok_or_else(|| AwsError::new("ClusterNotFoundException", "Cluster not found."))
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

/// Finds a live task in the regions of the endpoint: requests of tasks are not signed. Returns the context of its region, too.
pub fn live_task(cx: &Context, id: &str) -> Result<Option<(Context, Task)>, AwsError> {
    for cx in cx.regions() {
        if let Some(task) = task(&cx, id)?.filter(Task::is_live) {
            return Ok(Some((cx, task)));
        }
    }
    Ok(None)
}

/// Changes a task's record under the lock; does nothing if the task no longer exists.
pub fn update_task(cx: &Context, id: &str, change: impl FnOnce(&mut Task)) -> Result<(), AwsError> {
    let ecs = cx.extension::<EcsState>();
    let _lock = ecs.lock();
    if let Some(mut task) = task(cx, id)? {
        change(&mut task);
        task.put(cx)?;
    }
    Ok(())
}

pub fn delete_task(cx: &Context, id: &str) -> Result<(), AwsError> {
    cx.store().delete(TASKS, id)?;
    let _ = std::fs::remove_dir_all(task_folder(cx, id));
    Ok(())
}

/// Returns the folder that holds the folders of a task's containers.
pub fn task_folder(cx: &Context, task: &str) -> std::path::PathBuf {
    cx.state_dir().join("tasks").join(task)
}
