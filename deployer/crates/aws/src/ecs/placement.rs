//! Detection of services whose tasks ECS cannot place because a quota of the account is exhausted.
//!
//! ECS retries, and neither CloudFormation nor the deployment circuit breaker ends that: the breaker counts only tasks that were started
//! (aws/copilot-cli 2685).

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_ecs::types::Service;

/// The time without any progress after which the quota counts as exhausted: tasks of another deployment may end before.
const STALLED: Duration = Duration::from_mins(3);

/// A service whose tasks wait for a quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unplaced {
    /// The service's logical ID.
    pub resource: String,
    /// The service's name.
    pub service: String,
    /// The reason that ECS reports, such as `You've reached the limit on the number of vCPUs you can run concurrently`.
    pub reason: String,
}

/// The progress of a deployment: its running and pending tasks.
type Counts = (i32, i32);

/// Observes services from poll to poll.
#[derive(Debug, Default)]
pub struct PlacementDetector {
    /// The counts of each service that waits, and since when they have not changed.
    waiting: HashMap<String, (Counts, Duration)>,
}

impl PlacementDetector {
    /// Returns the reason if a service has waited for a quota without any progress; `now` is a time of the session's clock.
    pub fn observe(&mut self, service: &Service, now: Duration) -> Option<String> {
        let arn = service.service_arn().unwrap_or_default();
        let primary = service
            .deployments()
            .iter()
            .find(|one| one.status() == Some("PRIMARY"))?;
        let reason = latest_reason(service).filter(|_| primary.running_count() < primary.desired_count());
        let Some(reason) = reason else {
            self.waiting.remove(arn);
            return None;
        };
        let counts = (primary.running_count(), primary.pending_count());
        let (known, since) = self.waiting.entry(arn.to_owned()).or_insert((counts, now));
        if *known != counts {
            (*known, *since) = (counts, now);
        }
        (now.saturating_sub(*since) >= STALLED).then(|| reason.to_owned())
    }
}

/// Returns the reason in the newest event of a service, if it is an exhausted quota (Amazon ECS Developer Guide, "Viewing Amazon ECS
/// service event messages": "was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run
/// concurrently"; the apostrophe is a typographic one in some regions).
fn latest_reason(service: &Service) -> Option<&str> {
    let message = service.events().first()?.message()?;
    let (_, reason) = message.split_once("unable to place a task")?.1.split_once("Reason: ")?;
    let reason = reason.split(". ").next()?.trim_end_matches('.');
    reason.contains("reached the limit on the number of").then_some(reason)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{Deployment, ServiceEvent};

    use super::*;

    const QUOTA: &str = "(service web) was unable to place a task. Reason: You’ve reached the limit on the number of vCPUs you can run \
                         concurrently. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.";

    fn service(running: i32, message: &str) -> Service {
        let primary = Deployment::builder()
            .status("PRIMARY")
            .desired_count(2)
            .running_count(running);
        Service::builder()
            .service_arn("arn:aws:ecs:us-east-1:000000000000:service/shop/web")
            .deployments(primary.build())
            .events(ServiceEvent::builder().message(message).build())
            .build()
    }

    #[test]
    fn an_exhausted_quota_without_progress_is_a_reason_to_stop_waiting() {
        let mut detector = PlacementDetector::default();
        let at = Duration::from_secs;
        assert_eq!(detector.observe(&service(0, QUOTA), at(0)), None);
        assert_eq!(
            detector.observe(&service(1, QUOTA), at(170)),
            None,
            "one task was placed"
        );
        assert_eq!(detector.observe(&service(1, QUOTA), at(300)), None);
        let reason = detector
            .observe(&service(1, QUOTA), at(360))
            .expect("no progress for three minutes");
        assert_eq!(
            reason,
            "You’ve reached the limit on the number of vCPUs you can run concurrently"
        );
        assert_eq!(detector.observe(&service(2, QUOTA), at(400)), None, "all tasks run");
        assert_eq!(
            detector.observe(&service(1, QUOTA), at(900)),
            None,
            "the wait begins again"
        );
        let capacity = "(service web) was unable to place a task. Reason: Capacity is unavailable at this time.";
        assert_eq!(detector.observe(&service(1, capacity), at(2000)), None);
    }
}
