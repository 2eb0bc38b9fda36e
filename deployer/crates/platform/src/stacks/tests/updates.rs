//! Updates of deployed stacks that AWS would reject.

use std::collections::BTreeMap;

use cfn::diff::{UnsupportedUpdate, unsupported_updates};

use crate::manifest::Manifest;
use crate::stacks::{Plan, changes, plan};
use crate::testing::plan_of;

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
    manifest.network.availability_zones = 2;
    let expected = UnsupportedUpdate::NamedReplacement {
        logical_id: "KafkaCluster".into(),
        resource_type: "AWS::MSK::Cluster".into(),
        name: "shop-prod".into(),
        property: "BrokerNodeGroupInfo.ClientSubnets".into(),
    };
    assert_eq!(rejected(&before, &manifest), [expected]);
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
