//! Weights of listener rules that ECS moves from rollout to rollout, which are no drift.

use aws::cloudformation::Drift;
use platform::stacks::Plan;

/// Removes the actions of weighted rules from the differences, and rules without any other.
pub fn without_shifted_requests(plan: &Plan, drifted: Vec<Drift>) -> Vec<Drift> {
    let remaining = drifted.into_iter().filter_map(|mut drift| {
        let Some(stack) = plan.stacks.iter().find(|stack| stack.name == drift.stack) else {
            return Some(drift);
        };
        let rule = &stack.template["Resources"][&drift.logical_id];
        let moves = rule["Type"] == "AWS::ElasticLoadBalancingV2::ListenerRule"
            && rule["Properties"]["Actions"][0]["ForwardConfig"].is_object();
        if moves && drift.status == "MODIFIED" {
            drift.properties.retain(|(path, ..)| !path.starts_with("/Actions"));
            return (!drift.properties.is_empty()).then_some(drift);
        }
        Some(drift)
    });
    remaining.collect()
}
