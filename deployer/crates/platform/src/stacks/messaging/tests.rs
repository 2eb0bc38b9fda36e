use serde_json::Value;

use super::settings;
use crate::stacks::tests::plan_of;

#[test]
fn replicas_and_what_must_be_in_sync_fit_the_number_of_brokers() {
    let fits = |brokers| (settings::replicas(brokers), settings::in_sync(brokers));
    assert_eq!([1, 2, 3, 6].map(fits), [(1, 1), (2, 1), (3, 2), (3, 2)]);
}

#[test]
fn production_takes_nobody_without_tls_and_iam_and_roles_name_the_topics_and_groups_of_their_links() {
    let (_, plan) = plan_of("prod");
    let template = |short: &str| &plan.stacks.iter().find(|stack| stack.short == short).unwrap().template;
    let cluster = &template("messaging")["Resources"]["KafkaCluster"]["Properties"];
    assert_eq!(cluster["EncryptionInfo"]["EncryptionInTransit"]["ClientBroker"], "TLS");
    assert_eq!(cluster["ClientAuthentication"]["Unauthenticated"]["Enabled"], false);

    let statements = |service: &str| -> Value {
        template(service)["Resources"]["TaskRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"].clone()
    };
    let publisher = statements("patient-service").to_string();
    assert!(
        publisher.contains("kafka-cluster:WriteData\"") && publisher.contains("/patient\""),
        "{publisher}"
    );
    assert!(
        !publisher.contains("ReadData") && !publisher.contains("patient.dlq"),
        "{publisher}"
    );
    let consumer = statements("analytics-service").to_string();
    assert!(
        consumer.contains("/analytics-service\"") && consumer.contains("/patient.dlq\""),
        "{consumer}"
    );
    assert!(
        !consumer.contains("notification-service") && !consumer.contains('*'),
        "{consumer}"
    );
    assert_eq!(statements("billing-service"), Value::Null, "it has no link with Kafka");
}
