//! Parameters of a service, as they are stored with it and with each of its deployments.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The parameters of a service besides its name and desired count.
#[expect(clippy::struct_excessive_bools, reason = "separate settings of ECS's API")]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// The task definition's ARN.
    pub task_definition: String,
    pub minimum_percent: u32,
    pub maximum_percent: u32,
    pub circuit_breaker: bool,
    pub rollback: bool,
    pub load_balancers: Vec<LoadBalancer>,
    pub registries: Vec<Registry>,
    pub security_groups: Vec<String>,
    /// As the caller wrote it, returned in descriptions.
    pub network: Value,
    pub grace_seconds: i64,
    pub launch_type: String,
    /// The capacity provider strategy, which replaces the launch type; null if there is none.
    #[serde(default)]
    pub capacity_strategy: Value,
    pub enable_execute_command: bool,
    pub propagate_tags: String,
    /// New tasks get the tags `aws:ecs:clusterName` and `aws:ecs:serviceName`.
    #[serde(default)]
    pub managed_tags: bool,
    /// `ENABLED` or `DISABLED`; empty for a service without it. Stored only, since all zones are this machine.
    #[serde(default)]
    pub zone_rebalancing: String,
    #[serde(default)]
    pub strategy: Strategy,
    /// Minutes for which the former tasks run on after all requests have moved.
    #[serde(default)]
    pub bake_minutes: u32,
    /// Names of the alarms that fail a deployment.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// The alarms roll the service back, besides failing the deployment.
    #[serde(default)]
    pub alarms_rollback: bool,
}

/// The strategy of a deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub enum Strategy {
    #[default]
    Rolling,
    BlueGreen,
    /// `percent` more of the requests every `minutes`.
    Linear {
        percent: f64,
        minutes: u32,
    },
    /// `percent` of the requests first, the rest after `minutes`.
    Canary {
        percent: f64,
        minutes: u32,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadBalancer {
    pub target_group: String,
    pub container: String,
    pub port: u16,
    /// Needed by a deployment that moves requests.
    #[serde(default)]
    pub advanced: Option<Advanced>,
}

/// `AdvancedConfiguration` of a load balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advanced {
    pub alternate_target_group: String,
    pub production_rule: String,
    pub role: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registry {
    /// The Cloud Map service's ARN.
    pub arn: String,
    pub port: Option<u16>,
}
