//! Disks that AWS enlarged by itself, which are no drift: the template names the size at their creation.

use aws::cloudformation::Drift;
use platform::stacks::Plan;
use serde_json::Value;

/// Removes the growth of disks from the differences, and resources without any other.
pub fn without_growth(plan: &Plan, drifted: Vec<Drift>) -> Vec<Drift> {
    let remaining = drifted.into_iter().filter_map(|mut drift| {
        let stack = plan.stacks.iter().find(|stack| stack.name == drift.stack);
        if let Some(path) = stack.and_then(|stack| growing(&stack.template, &drift)) {
            let before = drift.properties.len();
            drift.properties.retain(|(name, expected, actual)| {
                let number = |text: &str| text.trim_matches('"').parse::<f64>().ok();
                let grown = number(expected).zip(number(actual)).is_some_and(|(from, to)| to > from);
                name != path || !grown
            });
            if before > 0 && drift.properties.is_empty() {
                return None;
            }
        }
        Some(drift)
    });
    remaining.collect()
}

/// Returns the path of the size that AWS increases: of brokers with a scaling policy, of a database with `MaxAllocatedStorage`.
fn growing(template: &Value, drift: &Drift) -> Option<&'static str> {
    let resources = template["Resources"].as_object()?;
    let resource = resources.get(&drift.logical_id)?;
    match drift.resource_type.as_str() {
        "AWS::RDS::DBInstance" => resource["Properties"]
            .get("MaxAllocatedStorage")
            .map(|_| "/AllocatedStorage"),
        "AWS::MSK::Cluster" => resources
            .values()
            .any(|one| {
                one["Type"] == "AWS::ApplicationAutoScaling::ScalableTarget"
                    && one["Properties"]["ServiceNamespace"] == "kafka"
            })
            .then_some("/BrokerNodeGroupInfo/StorageInfo/EBSStorageInfo/VolumeSize"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::plan;

    const SIZE: &str = "/BrokerNodeGroupInfo/StorageInfo/EBSStorageInfo/VolumeSize";

    fn drifted(environment: &str, properties: &[(&str, &str, &str)]) -> Vec<Drift> {
        let plan = plan(environment);
        let stack = plan.stack("messaging").expect("brokers");
        let resources = stack.template["Resources"].as_object().expect("resources");
        let cluster = resources.iter().find(|(_, one)| one["Type"] == "AWS::MSK::Cluster");
        let drift = Drift {
            stack: stack.name.clone(),
            logical_id: cluster.expect("a cluster").0.clone(),
            resource_type: "AWS::MSK::Cluster".into(),
            status: "MODIFIED".into(),
            properties: properties
                .iter()
                .map(|(path, from, to)| ((*path).to_owned(), (*from).to_owned(), (*to).to_owned()))
                .collect(),
        };
        without_growth(&plan, vec![drift])
    }

    #[test]
    fn growth_by_a_scaling_policy_is_no_drift() {
        assert!(drifted("prod", &[(SIZE, "100", "200")]).is_empty());
        assert_eq!(drifted("prod", &[(SIZE, "200", "100")]).len(), 1, "a smaller disk");
        assert_eq!(drifted("dev", &[(SIZE, "100", "200")]).len(), 1, "no policy");
        let both = drifted("prod", &[(SIZE, "100", "200"), ("/EnhancedMonitoring", "A", "B")]);
        assert_eq!(both[0].properties.len(), 1);
    }
}
