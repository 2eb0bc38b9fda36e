//! Another VPC, or other subnets of the brokers, for a deployed platform.

use aws::cloudformation;
use platform::manifest::{SubnetTier, Subnets};
use platform::stacks::{Plan, Source};
use serde_json::Value;

use super::super::problem::NetworkProblem;

/// Returns the reason why a deployed network stack cannot have the parameters of the plan. A move between a VPC of the platform and an
/// existing one is a change of resources, see [`cfn::diff::UnsupportedUpdate`].
pub fn moved(plan: &Plan, former: &cloudformation::Stack) -> Option<NetworkProblem> {
    let stack = plan.stacks.iter().find(|stack| stack.name == former.name)?;
    for parameter in &stack.parameters {
        let Some(before) = former.parameters.get(&parameter.name) else {
            continue;
        };
        match &parameter.source {
            Source::Literal(after) if parameter.name == "VpcId" && before != after => {
                return Some(NetworkProblem::Moved {
                    before: before.clone(),
                    after: after.clone(),
                });
            }
            Source::Subnets {
                tier: tier @ SubnetTier::Isolated,
                network,
                ..
            } if has_brokers(plan) => {
                let Subnets::Ids(ids) = network.subnets(*tier) else {
                    continue;
                };
                let after = ids.join(",");
                if *before != after {
                    let before = before.clone();
                    return Some(NetworkProblem::MovedBrokers { before, after });
                }
            }
            _ => {}
        }
    }
    None
}

fn has_brokers(plan: &Plan) -> bool {
    let resources = plan
        .stack("messaging")
        .and_then(|stack| stack.template["Resources"].as_object());
    resources.is_some_and(|all| all.values().any(|one: &Value| one["Type"] == "AWS::MSK::Cluster"))
}
