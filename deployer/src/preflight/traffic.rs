//! The check for listener rules whose weights ECS has moved: CloudFormation sets those of the template when a rule changes, and
//! the target group that they name first is empty after every second rollout (aws/aws-cdk 36649).

use std::collections::BTreeMap;

use aws::{Result, Session, cloudformation, elb};
use cfn::diff::Change;
use platform::stacks::{self, Plan};
use serde_json::Value;

use super::problem::Problem;
use super::{PreflightFinding, fatal};

const RULE: &str = "AWS::ElasticLoadBalancingV2::ListenerRule";

/// Returns the changes of rules that would move all requests to a target group without tasks. `templates` are the deployed ones,
/// by the full names of their stacks.
///
/// # Errors
/// A request fails.
pub async fn check(aws: &Session, plan: &Plan, templates: &BTreeMap<String, Value>) -> Result<Vec<PreflightFinding>> {
    let mut findings = Vec::new();
    for (stack, changes) in stacks::changes(plan, templates) {
        let Some(former) = templates.get(&stack.name) else {
            continue;
        };
        for rule in changes.iter().filter(|change| is_weighted(change, former)) {
            let resources = cloudformation::stack_resources(aws, &stack.name).await?;
            let physical_id = |logical_id: &str| {
                let mut all = resources.iter().filter(|one| one.logical_id == logical_id);
                all.find_map(|one| (!one.physical_id.is_empty()).then(|| one.physical_id.clone()))
            };
            let Some(arn) = physical_id(&rule.logical_id) else {
                continue;
            };
            let action = &stack.template["Resources"][&rule.logical_id]["Properties"]["Actions"][0];
            let expected = receiver(action).and_then(physical_id);
            let live = elb::weights(aws, &arn).await?;
            let mut serving = live
                .into_iter()
                .filter(|(_, weight)| *weight > 0)
                .map(|(group, _)| group);
            if let Some(group) = serving.find(|group| Some(group) != expected.as_ref()) {
                findings.push(fatal(Problem::ShiftedTraffic {
                    stack: stack.short_name.clone(),
                    rule: rule.logical_id.clone(),
                    group,
                    cluster: format!("{}-{}", plan.project, plan.environment),
                }));
            }
        }
    }
    Ok(findings)
}

fn is_weighted(change: &Change, former: &Value) -> bool {
    let rule = &former["Resources"][&change.logical_id];
    rule["Type"] == RULE && rule["Properties"]["Actions"][0]["ForwardConfig"].is_object()
}

/// Returns the logical ID of the target group that gets the requests by the template.
fn receiver(action: &Value) -> Option<&str> {
    let groups = action["ForwardConfig"]["TargetGroups"].as_array();
    let mut weighted = groups.into_iter().flatten().filter(|group| group["Weight"] != 0);
    let group = weighted.next().unwrap_or(action);
    group["TargetGroupArn"]["Ref"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_receiver_is_the_group_with_a_weight() {
        let group = |name: &str, weight: u32| json!({ "TargetGroupArn": { "Ref": name }, "Weight": weight });
        let action = json!({ "ForwardConfig": { "TargetGroups": [group("A", 0), group("B", 100)] } });
        assert_eq!(receiver(&action), Some("B"));
        assert_eq!(receiver(&json!({ "TargetGroupArn": { "Ref": "C" } })), Some("C"));
    }
}
