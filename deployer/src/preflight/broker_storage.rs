//! The check of the brokers' disks, which automatic scaling increases without the template (Amazon MSK Developer Guide, "Set up automatic
//! scaling for Amazon MSK clusters").

use std::collections::BTreeMap;

use aws::cloudformation::stack_resources;
use aws::{Result, Session, kafka};
use platform::stacks::Plan;
use serde_json::Value;

use super::{PreflightFinding, Problem, fatal};

/// The least increase in GiB that MSK accepts ("Scale up Amazon MSK Standard broker storage": a disk can only grow;
/// aws-cloudformation/cloudformation-coverage-roadmap 1129: "you must increase it by at least 10 GiB").
const LEAST_INCREASE: i64 = 10;

/// Compares a changed disk size with the real one. `templates` are the deployed ones, by the full names of their stacks.
///
/// # Errors
/// A request fails.
pub async fn check(aws: &Session, plan: &Plan, templates: &BTreeMap<String, Value>) -> Result<Vec<PreflightFinding>> {
    let mut findings = Vec::new();
    for stack in &plan.stacks {
        let Some(deployed) = templates.get(&stack.name) else {
            continue;
        };
        let resources = stack.template["Resources"].as_object().into_iter().flatten();
        for (logical, resource) in resources.filter(|(_, resource)| resource["Type"] == "AWS::MSK::Cluster") {
            let former = volume(&deployed["Resources"][logical]);
            let Some(planned_gib) =
                volume(resource).filter(|planned_gib| former.is_some() && former != Some(*planned_gib))
            else {
                continue;
            };
            let existing = stack_resources(aws, &stack.name).await?;
            let Some(cluster) = existing.iter().find(|one| one.logical_id == *logical) else {
                continue;
            };
            let Some(actual) = kafka::broker_storage(aws, &cluster.physical_id).await? else {
                continue;
            };
            let actual = i64::from(actual);
            if planned_gib < actual + LEAST_INCREASE {
                let least = actual + LEAST_INCREASE;
                findings.push(fatal(Problem::BrokerStorage {
                    planned_gib,
                    actual,
                    least,
                    former: former.unwrap_or_default(),
                }));
            }
        }
    }
    Ok(findings)
}

fn volume(cluster: &Value) -> Option<i64> {
    cluster["Properties"]["BrokerNodeGroupInfo"]["StorageInfo"]["EBSStorageInfo"]["VolumeSize"].as_i64()
}

#[cfg(test)]
mod tests {
    use aws::testing::{FakeAccount, FakeStack};
    use serde_json::json;

    use super::*;
    use crate::command::testing::plan;

    #[tokio::test]
    async fn a_disk_that_has_grown_is_compared_with_its_real_size() {
        let mut planned = plan("prod");
        let stack = planned
            .stacks
            .iter_mut()
            .find(|stack| stack.short_name == "messaging")
            .expect("brokers");
        let former = stack.template.clone();
        let mut existing = FakeStack::new(&stack.name, "CREATE_COMPLETE");
        existing.template = former.clone();
        let templates = BTreeMap::from([(stack.name.clone(), former.clone())]);
        let cluster = stack.template["Resources"]
            .as_object_mut()
            .expect("resources")
            .values_mut()
            .find(|resource| resource["Type"] == "AWS::MSK::Cluster")
            .expect("a cluster");
        let size = volume(cluster).expect("a size");
        let actual = size + 100;
        let account = FakeAccount::new(vec![existing]);
        let storage = json!({ "ebsStorageInfo": { "volumeSize": actual } });
        let info = json!({ "provisioned": { "brokerNodeGroupInfo": { "instanceType": "kafka.m7g.large", "clientSubnets": [], "storageInfo": storage }, "numberOfBrokerNodes": 3 } });
        account.set_response("", &json!({ "clusterInfo": info }).to_string());
        let endpoint = account.start().await;
        let aws = endpoint.session().await;
        let mut check_size = async |planned_gib: i64| {
            let cluster = planned
                .stacks
                .iter_mut()
                .filter_map(|stack| stack.template["Resources"].as_object_mut())
                .flat_map(|resources| resources.values_mut())
                .find(|resource| resource["Type"] == "AWS::MSK::Cluster")
                .expect("a cluster");
            cluster["Properties"]["BrokerNodeGroupInfo"]["StorageInfo"]["EBSStorageInfo"]["VolumeSize"] =
                planned_gib.into();
            check(&aws, &planned, &templates).await.expect("an answer")
        };
        assert_eq!(check_size(size).await, [], "the template did not change");
        let rejected = Problem::BrokerStorage {
            planned_gib: actual,
            actual,
            least: actual + 10,
            former: size,
        };
        assert_eq!(check_size(actual).await, [fatal(rejected)]);
        assert_eq!(check_size(actual + 10).await, []);
    }
}
