//! Storage autoscaling and alarms of the brokers.

use serde_json::{Value, json};

use crate::manifest::{Kafka, Manifest};
use crate::stacks::alarms::{Alarm, Comparison, on_expression};
use cfn::template::{Handle, Resource, Template, logical_id};

/// Target of the storage utilization, in percent.
const STORAGE_TARGET: u32 = 60;
/// Limit of storage autoscaling, in multiples of the initial storage.
const MAX_STORAGE_FACTOR: u32 = 4;
/// Messages by which a consumer may be behind.
const MAX_LAG: u32 = 1000;
/// Maximum size of a broker's volume, in GiB (Amazon MSK quota).
const MAX_STORAGE_GIB: u32 = 16_384;

/// Adds storage autoscaling. A volume can grow and never shrink (Amazon MSK Developer Guide, "Automatic scaling for
/// clusters").
pub fn autoscale_storage(template: &mut Template, kafka: &Kafka, cluster: &Handle) {
    let target = template.add(
        "KafkaStorageTarget",
        Resource::new("AWS::ApplicationAutoScaling::ScalableTarget")
            .with("ServiceNamespace", "kafka")
            .with("ScalableDimension", "kafka:broker-storage:VolumeSize")
            .with("ResourceId", cluster.reference())
            .with("MinCapacity", 1)
            .with(
                "MaxCapacity",
                kafka
                    .storage_gib
                    .saturating_mul(MAX_STORAGE_FACTOR)
                    .min(MAX_STORAGE_GIB),
            ),
    );
    template.add(
        "KafkaStorageScaling",
        Resource::new("AWS::ApplicationAutoScaling::ScalingPolicy")
            .with("PolicyName", "storage")
            .with("PolicyType", "TargetTrackingScaling")
            .with("ScalingTargetId", target.reference())
            .with(
                "TargetTrackingScalingPolicyConfiguration",
                json!({
                    "PredefinedMetricSpecification": { "PredefinedMetricType": "KafkaBrokerStorageUtilization" },
                    "TargetValue": STORAGE_TARGET,
                    "DisableScaleIn": true,
                }),
            ),
    );
}

/// Adds an alarm on each broker's disk, those on partitions without a leader or a replica, and one on the lag of each consumer.
pub fn add(template: &mut Template, manifest: &Manifest, kafka: &Kafka, topic: &Value) {
    let cluster = json!({ "Name": "Cluster Name", "Value": manifest.prefix() });
    let alarm = |description: String, metric, dimensions, threshold, periods| Alarm {
        description,
        namespace: "AWS/Kafka".into(),
        metric,
        dimensions,
        statistic: "Maximum",
        threshold,
        comparison: Comparison::Above,
        period: 300,
        periods,
    };
    for broker in 1..=kafka.brokers {
        let description =
            format!("Kafka: the disk of broker {broker} is 80 % full; a broker with a full disk rejects writes");
        let dimensions = json!([cluster, { "Name": "Broker ID", "Value": broker.to_string() }]);
        let alarm = alarm(description, "KafkaDataLogsDiskUsed", dimensions, 80.0, 3);
        template.add(format!("KafkaDisk{broker}Alarm"), alarm.resource(Some(topic)));
    }
    let description = "Kafka: partitions have had no leader for 10 minutes; they accept no writes".to_owned();
    let offline = alarm(description, "OfflinePartitionsCount", json!([cluster]), 0.0, 2);
    template.add("KafkaOfflineAlarm", offline.resource(Some(topic)));
    let description =
        "Kafka: partitions have lacked a replica for 30 minutes, longer than the restart of a broker takes";
    let replicas = on_expression(description, under_replicated(&cluster, kafka.brokers), 6, topic);
    template.add("KafkaReplicasAlarm", replicas);
    for service in manifest.services.iter().filter(|service| service.alarms) {
        for consumed in &service.consumes {
            let dimensions = json!([
                cluster,
                { "Name": "Consumer Group", "Value": service.name },
                { "Name": "Topic", "Value": consumed },
            ]);
            let description = format!(
                "Kafka: {} is more than {MAX_LAG} messages of {consumed} behind, or has no stable consumer group",
                service.name
            );
            let lag = alarm(description, "MaxOffsetLag", dimensions, MAX_LAG.into(), 3).resource(Some(topic));
            // MSK reports the lag of stable and of empty groups alone (Amazon MSK Developer Guide: "Monitor consumer lags").
            let lag = lag.with("TreatMissingData", "breaching");
            template.add(logical_id(&["Kafka", &service.name, consumed, "LagAlarm"]), lag);
        }
    }
}

/// Returns the sum of partitions with a missing replica, which MSK reports by broker (Amazon MSK Developer Guide: metrics of
/// the `DEFAULT` level).
fn under_replicated(cluster: &Value, brokers: u16) -> Value {
    let sum = json!({ "Id": "sum", "Expression": "SUM(METRICS())", "Label": "Partitions with a missing replica" });
    let of_broker = |broker: u16| {
        let dimensions = json!([cluster, { "Name": "Broker ID", "Value": broker.to_string() }]);
        json!({ "Id": format!("broker{broker}"), "ReturnData": false, "MetricStat": {
            "Metric": { "Namespace": "AWS/Kafka", "MetricName": "UnderReplicatedPartitions", "Dimensions": dimensions },
            "Period": 300, "Stat": "Maximum" } })
    };
    std::iter::once(sum).chain((1..=brokers).map(of_broker)).collect()
}
