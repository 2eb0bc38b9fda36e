//! ECS: rollouts of services, stopped tasks and their logs, readiness, hotswap.

mod crash_loop;
mod diagnose;
mod error;
mod hotswap;
mod hotswap_state;
mod inventory;
mod last_failure;
mod logs;
mod placement;
mod readiness;
mod rollout;
mod secrets;
mod stopped_task;
mod traffic;
mod wait_rollout;

pub use crash_loop::CRASH_LOOP_THRESHOLD;
pub use diagnose::{CrashLoop, Diagnosis, DiagnosisProgress, EcsEvent};
pub use error::{Error, Result};
pub use hotswap::{HotswapOutcome, hotswap, live_task_definition, running_image, update_service};
pub use hotswap_state::{HotswapEntry, HotswapState};
pub use inventory::{
    StandaloneTask, active_clusters, deregister_task_definition, existing_clusters, list_services, standalone_tasks,
    task_definitions,
};
pub use last_failure::last_failure;
pub use placement::Unplaced;
pub use readiness::{EcsServices, Readiness, ServiceStatus, public_url};
pub use rollout::{CircuitBreaker, Revision, Rollout};
pub use secrets::{OutdatedSecrets, outdated_secrets, restart_service};
pub use stopped_task::StoppedTask;
pub use traffic::Traffic;
pub use wait_rollout::{RolloutProgress, RolloutState, RolloutWait, ServiceRollout};

/// Returns cluster and service name from a service's ARN, `arn:…:service/CLUSTER/NAME`.
pub fn service_of(arn: &str) -> Option<(&str, &str)> {
    arn.rsplit_once(":service/")?.1.split_once('/')
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_service_arn_names_cluster_and_service() {
        let arn = "arn:aws:ecs:us-east-1:000000000000:service/shop-dev/billing-service";
        assert_eq!(super::service_of(arn), Some(("shop-dev", "billing-service")));
    }
}
