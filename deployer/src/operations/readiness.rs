//! The readiness of the system after a deployment.

use std::time::Duration;

use aws::Session;
use aws::ecs::Readiness;
use platform::stacks::Plan;
use ui::{Event, Ui};

use super::Result;

/// Waits until the system is ready, and returns its URL.
///
/// # Errors
/// A request fails, the load balancer has no address, or the timeout has passed.
pub async fn wait_until_ready(aws: &Session, ui: &Ui, plan: &Plan, timeout: Duration) -> Result<String> {
    let wait = aws.wait(timeout);
    let readiness = Readiness::find(aws, plan).await?;
    while let Some(state) = readiness.check(aws, plan).await? {
        wait.check(|| "the system's start".into(), || Some(state.clone()))?;
        ui.emit(Event::Serving { state });
        aws.clock().sleep(aws.poll_interval()).await;
    }
    if let Some((host, dns)) = readiness.unresolved_host(plan).await {
        let remedy = if plan.ingress.has_record {
            "its record was created; a resolver that was asked before remembers for some minutes that there was none"
                .to_owned()
        } else {
            format!("create a CNAME (or Route 53 alias) to {dns}")
        };
        ui.warn(format!("{host} does not resolve yet; {remedy}"));
    }
    Ok(readiness.url().to_owned())
}
