use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::settings;
use crate::testing::plan_of;

#[test]
fn replicas_and_the_minimum_in_sync_fit_the_number_of_brokers() {
    let numbers = |brokers| (settings::replicas(brokers), settings::min_in_sync(brokers));
    assert_eq!([1, 2, 3, 6].map(numbers), [(1, 1), (2, 1), (3, 2), (3, 2)]);
}

#[test]
fn a_message_is_kept_for_the_retention_and_the_age_of_its_segment() {
    for (hours, expected) in [(168, (518_400_000, 86_400_000)), (2, (3_600_000, 3_600_000))] {
        let properties = settings::server(3, hours);
        let value = |name: &str| {
            let mut lines = properties.lines().filter_map(|line| line.split_once('='));
            lines.find(|(key, _)| *key == name).unwrap().1.parse::<u64>().unwrap()
        };
        let (retention, roll) = (value("log.retention.ms"), value("log.roll.ms"));
        assert_eq!((retention, roll), expected);
        assert_eq!(retention + roll, u64::from(hours) * 3_600_000);
    }
}

#[test]
fn with_iam_the_brokers_require_tls_and_authentication() {
    let (_, plan) = plan_of("prod");
    let cluster = &plan.stack("messaging").unwrap().template["Resources"]["KafkaCluster"]["Properties"];
    assert_eq!(cluster["EncryptionInfo"]["EncryptionInTransit"]["ClientBroker"], "TLS");
    assert_eq!(cluster["ClientAuthentication"]["Unauthenticated"]["Enabled"], false);
}

#[test]
fn a_role_names_the_topics_and_groups_of_its_links() {
    let (_, plan) = plan_of("prod");
    // The last part of each resource, with the actions on it.
    let permissions = |service: &str| -> BTreeMap<String, Value> {
        let role = &plan.stack(service).unwrap().template["Resources"]["TaskRole"]["Properties"];
        let statements = role["Policies"][0]["PolicyDocument"]["Statement"].as_array();
        let mut found = BTreeMap::new();
        let is_of_kafka = |statement: &&Value| {
            let action = statement["Action"][0].as_str();
            action.is_some_and(|action| action.starts_with("kafka-cluster:"))
        };
        for statement in statements.into_iter().flatten().filter(is_of_kafka) {
            let resources = match &statement["Resource"] {
                Value::Array(several) => several.clone(),
                one => vec![one.clone()],
            };
            for resource in resources {
                let arn = resource["Fn::Sub"][0].as_str().unwrap_or("/cluster").to_owned();
                let name = arn.rsplit('/').next().unwrap_or_default().to_owned();
                found.insert(name, statement["Action"].clone());
            }
        }
        found
    };
    let publish = json!(["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"]);
    let consume = json!(["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"]);
    let group = json!(["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"]);
    let cluster = json!(["kafka-cluster:Connect", "kafka-cluster:WriteDataIdempotently"]);
    let expected = |all: &[(&str, &Value)]| -> BTreeMap<String, Value> {
        let owned = all
            .iter()
            .map(|(name, actions)| ((*name).to_owned(), (*actions).clone()));
        owned.collect()
    };
    assert_eq!(
        permissions("orders"),
        expected(&[("cluster", &cluster), ("placed", &publish)])
    );
    assert_eq!(
        permissions("invoices"),
        expected(&[
            ("cluster", &cluster),
            ("invoices", &group),
            ("placed", &consume),
            ("placed.dlq", &publish)
        ])
    );
    assert_eq!(permissions("web"), BTreeMap::new(), "it has no link with Kafka");
}
