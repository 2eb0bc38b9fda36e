//! Updates of deployed stacks that AWS would reject.

use std::collections::{BTreeMap, BTreeSet};

use cfn::diff::{UnsupportedUpdate, unsupported_updates};
use serde_json::Value;

use crate::manifest::{Manifest, SubnetTier};
use crate::stacks::{Plan, changes, plan};
use crate::testing::{move_to_existing_network, new_network, plan_of};

fn rejected(before: &Plan, after: &Manifest) -> Vec<UnsupportedUpdate> {
    let deployed: BTreeMap<_, _> = before
        .stacks
        .iter()
        .map(|stack| (stack.name.clone(), stack.template.clone()))
        .collect();
    let after = plan(after);
    let found = changes(&after, &deployed);
    found
        .iter()
        .flat_map(|(stack, changes)| unsupported_updates(changes, &stack.template))
        .collect()
}

#[test]
fn another_number_of_zones_would_replace_the_cluster_by_one_of_the_same_name() {
    let (mut manifest, before) = plan_of("prod");
    new_network(&mut manifest).availability_zones = 2;
    let expected = UnsupportedUpdate::NamedReplacement {
        logical_id: "KafkaCluster".into(),
        resource_type: "AWS::MSK::Cluster".into(),
        name: "shop-prod".into(),
        property: "BrokerNodeGroupInfo.ClientSubnets".into(),
    };
    assert_eq!(rejected(&before, &manifest), [expected]);
}

#[test]
fn an_environment_moves_neither_into_an_existing_network_nor_out_of_one() {
    let (mut manifest, before) = plan_of("dev");
    move_to_existing_network(&mut manifest);
    let into_existing = UnsupportedUpdate::Network { into_existing: true };
    assert!(rejected(&before, &manifest).contains(&into_existing));
    let out = UnsupportedUpdate::Network { into_existing: false };
    let (new, _) = plan_of("dev");
    assert!(rejected(&plan(&manifest), &new).contains(&out));
}

#[test]
fn the_stack_in_an_existing_network_has_security_groups_alone_and_the_same_outputs() {
    let (mut manifest, before) = plan_of("prod");
    move_to_existing_network(&mut manifest);
    let after = plan(&manifest);
    let network = |plan: &Plan| plan.stack("network").expect("a stack").template.clone();
    let (before, network) = (network(&before), network(&after));
    let types: BTreeSet<&str> = network["Resources"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.values())
        .filter_map(|resource| resource["Type"].as_str())
        .collect();
    let rule = |direction: &str| format!("AWS::EC2::SecurityGroup{direction}");
    let [group, egress, ingress] = ["", "Egress", "Ingress"].map(rule);
    assert_eq!(types, BTreeSet::from([group.as_str(), &egress, &ingress]));
    let outputs = |template: &Value| -> BTreeSet<String> {
        let of_flow_logs = ["FlowLogGroupName", "Region"];
        let all = template["Outputs"].as_object().into_iter().flat_map(|all| all.keys());
        all.filter(|name| !of_flow_logs.contains(&name.as_str()))
            .cloned()
            .collect()
    };
    assert_eq!(outputs(&network), outputs(&before));
    let parameters = &network["Parameters"];
    assert_eq!(parameters["VpcId"]["Type"], "AWS::EC2::VPC::Id");
    for tier in SubnetTier::ALL {
        let name = tier.parameter();
        assert_eq!(parameters[name]["Type"], "List<AWS::EC2::Subnet::Id>");
        let joined = serde_json::json!({ "Fn::Join": [",", { "Ref": name }] });
        assert_eq!(network["Outputs"][name]["Value"], joined);
    }
}

#[test]
fn a_template_has_no_id_of_an_existing_network() {
    let (mut manifest, _) = plan_of("prod");
    move_to_existing_network(&mut manifest);
    for stack in plan(&manifest).stacks {
        let text = stack.template.to_string();
        assert!(!text.contains("vpc-0") && !text.contains("subnet-"), "{}", stack.name);
    }
}

#[test]
fn a_key_cannot_be_added_to_resources_that_have_a_name() {
    let (mut manifest, _) = plan_of("prod");
    manifest.customer_key = false;
    let before = plan(&manifest);
    manifest.customer_key = true;
    let named: Vec<String> = rejected(&before, &manifest)
        .into_iter()
        .map(|update| match update {
            UnsupportedUpdate::NamedReplacement { logical_id, .. } => logical_id,
            other => other.to_string(),
        })
        .collect();
    assert_eq!(
        named,
        [
            "InvoicesRepository",
            "OrdersRepository",
            "WebRepository",
            "KafkaCluster"
        ]
    );
}

#[test]
fn an_ordinary_change_is_not_rejected() {
    let (mut manifest, before) = plan_of("prod");
    assert_eq!(rejected(&before, &manifest), []);
    for service in &mut manifest.services {
        service.cpu = 1024;
    }
    manifest.kafka.as_mut().expect("brokers").storage_gib = 200;
    assert_eq!(rejected(&before, &manifest), []);
}
