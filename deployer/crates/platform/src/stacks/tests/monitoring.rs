//! Alarms, dashboards, and rollouts that an alarm stops.

use serde_json::{Value, json};

use crate::stacks::{Plan, plan};
use crate::testing::plan_of;

fn properties<'a>(plan: &'a Plan, stack: &str, resource: &str) -> &'a Value {
    &plan.stack(stack).expect("the stack").template["Resources"][resource]["Properties"]
}

#[test]
fn a_dashboard_has_a_name_for_each_region() {
    let (_, plan) = plan_of("prod");
    let name = &properties(&plan, "dashboard", "Dashboard")["DashboardName"];
    assert_eq!(*name, json!({ "Fn::Sub": "shop-prod-${AWS::Region}" }));
}

#[test]
fn errors_of_a_new_version_roll_the_public_service_back() {
    let (_, prod) = plan_of("prod");
    let alarms =
        |plan: &Plan, service: &str| properties(plan, service, "Service")["DeploymentConfiguration"]["Alarms"].clone();
    let expected = json!({ "AlarmNames": [{ "Ref": "ServerErrorAlarm" }], "Enable": true, "Rollback": true });
    assert_eq!(alarms(&prod, "web"), expected);
    assert_eq!(
        properties(&prod, "web", "ServerErrorAlarm")["MetricName"],
        "HTTPCode_Target_5XX_Count"
    );
    assert_eq!(
        alarms(&prod, "orders"),
        Value::Null,
        "the load balancer does not measure it"
    );
    assert_eq!(alarms(&plan_of("dev").1, "web"), Value::Null, "it has no alarms");
}

#[test]
fn credits_that_cost_raise_the_alarm_rather_than_the_balance_of_a_new_instance() {
    let (_, plan) = plan_of("prod");
    let alarm = properties(&plan, "data", "OrdersDatabaseCreditsAlarm");
    let expected = (
        &json!("CPUSurplusCreditsCharged"),
        &json!("GreaterThanThreshold"),
        &json!(0.0),
    );
    assert_eq!(
        (&alarm["MetricName"], &alarm["ComparisonOperator"], &alarm["Threshold"]),
        expected
    );
}

#[test]
fn a_consumer_without_a_lag_raises_an_alarm() {
    let (mut manifest, before) = plan_of("prod");
    let alarm = properties(&before, "messaging", "KafkaInvoicesPlacedLagAlarm");
    assert_eq!(alarm["TreatMissingData"], "breaching");
    let dimensions = json!([
        { "Name": "Cluster Name", "Value": "shop-prod" },
        { "Name": "Consumer Group", "Value": "invoices" },
        { "Name": "Topic", "Value": "placed" },
    ]);
    assert_eq!(
        (&alarm["MetricName"], &alarm["Dimensions"]),
        (&json!("MaxOffsetLag"), &dimensions)
    );
    let of_log = |plan: &Plan| properties(plan, "invoices", "KafkaConsumerLagAlarm").clone();
    assert_eq!(of_log(&before), Value::Null, "one alarm for one reason");

    let kafka = manifest.kafka.as_mut().expect("brokers");
    kafka.bootstrap = Some(crate::manifest::Bootstrap::parse("broker.example:9094", None).expect("brokers"));
    assert_eq!(
        of_log(&plan(&manifest))["TreatMissingData"],
        "breaching",
        "MSK does not measure it"
    );
}

#[test]
fn a_partition_that_lacks_a_replica_raises_an_alarm() {
    let (_, plan) = plan_of("prod");
    let metrics = properties(&plan, "messaging", "KafkaReplicasAlarm")["Metrics"]
        .as_array()
        .expect("metrics");
    assert_eq!(metrics[0]["Expression"], "SUM(METRICS())");
    let names = metrics
        .iter()
        .filter_map(|metric| metric["MetricStat"]["Metric"]["MetricName"].as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["UnderReplicatedPartitions"; 3]);
}
