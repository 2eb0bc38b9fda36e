//! Storage autoscaling and alarms of the brokers.

use serde_json::{Value, json};

use crate::manifest::{Kafka, Manifest};
use crate::stacks::alarms::{Alarm, Comparison};
use cfn::template::{Handle, Resource, Template};

/// Target of the storage utilization, in percent.
const STORAGE_TARGET: u32 = 60;
/// Limit of storage autoscaling, in multiples of the initial storage.
const MAX_STORAGE_FACTOR: u32 = 4;
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

/// Adds an alarm on each broker's disk, and one on partitions without a leader.
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
        let description = format!("Kafka: the disk of broker {broker} is 80 % full; a full one takes no more writes");
        let dimensions = json!([cluster, { "Name": "Broker ID", "Value": broker.to_string() }]);
        let alarm = alarm(description, "KafkaDataLogsDiskUsed", dimensions, 80.0, 3);
        template.add(format!("KafkaDisk{broker}Alarm"), alarm.resource(topic));
    }
    let description = "Kafka: partitions have had no leader for 10 minutes: nothing can be written to them".to_owned();
    let offline = alarm(description, "OfflinePartitionsCount", json!([cluster]), 0.0, 2);
    template.add("KafkaOfflineAlarm", offline.resource(topic));
}
