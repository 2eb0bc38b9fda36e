//! Services whose tasks have an older value of a secret than Secrets Manager.

use std::time::Duration;

use aws::Session;
use aws::ecs::{self, EcsServices, OutdatedSecrets, ServiceRollout, live_task_definition, service_of};
use platform::stacks::Plan;
use ui::Ui;

use super::{Result, wait_for_rollouts};

/// Returns the services whose tasks have an older value of a secret. A comparison that fails, for example for a missing permission, is
/// reported and finds no service.
pub async fn outdated_secrets(aws: &Session, ui: &Ui, services: &EcsServices) -> Vec<OutdatedSecrets> {
    match ecs::outdated_secrets(aws, services).await {
        Ok(found) => found,
        Err(error) if error.is_unsupported() => Vec::new(),
        Err(error) => {
            ui.warn(format!("cannot compare the tasks with their secrets: {error}"));
            Vec::new()
        }
    }
}

/// Rolls the services whose tasks have an older value of a secret, together, and waits until they run new tasks. Returns their names.
///
/// # Errors
/// A rollout fails, or does not end in time.
pub async fn restart_outdated(aws: &Session, ui: &Ui, plan: &Plan, timeout: Duration) -> Result<Vec<String>> {
    let services = EcsServices::find(aws, plan).await?;
    let outdated = outdated_secrets(aws, ui, &services).await;
    let mut rollouts = Vec::new();
    for one in &outdated {
        ui.info(format!("{one}; starting new tasks"));
        let (cluster, name) = service_of(&one.arn).unwrap_or(("default", &one.arn));
        let task_definition = live_task_definition(aws, cluster, name).await?;
        ecs::restart_service(aws, &one.arn).await?;
        let stack = plan.stacks.iter().find(|stack| stack.short_name == one.service);
        rollouts.push(ServiceRollout {
            stack: stack.map_or_else(|| one.service.clone(), |stack| stack.name.clone()),
            resource: "Service".to_owned(),
            service: one.service.clone(),
            arn: one.arn.clone(),
            task_definition,
        });
    }
    if !rollouts.is_empty() {
        wait_for_rollouts(aws, ui, &rollouts, timeout).await?;
    }
    Ok(outdated.into_iter().map(|one| one.service).collect())
}
