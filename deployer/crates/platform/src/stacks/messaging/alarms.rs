//! The brokers' disks: they grow by themselves, and somebody is told before they are full.

use serde_json::{Value, json};

use crate::manifest::{Kafka, Manifest};
use crate::stacks::alarms::{Alarm, Side};
use cfn::template::{Handle, Resource, Template};

/// From which use on storage grows, in percent, and how far, in multiples of what it begins with.
const GROWS_AT: u32 = 60;
const GROWS_TO: u32 = 4;
/// The largest volume of a broker, in GiB (Amazon MSK quota).
const LARGEST: u32 = 16_384;

/// A volume can grow and never shrink (Amazon MSK Developer Guide, "Automatic scaling for clusters").
pub fn grow(template: &mut Template, kafka: &Kafka, cluster: &Handle) {
    let target = template.add(
        "KafkaStorageTarget",
        Resource::new("AWS::ApplicationAutoScaling::ScalableTarget")
            .with("ServiceNamespace", "kafka")
            .with("ScalableDimension", "kafka:broker-storage:VolumeSize")
            .with("ResourceId", cluster.reference())
            .with("MinCapacity", 1)
            .with("MaxCapacity", kafka.storage_gib.saturating_mul(GROWS_TO).min(LARGEST)),
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
                    "TargetValue": GROWS_AT,
                    "DisableScaleIn": true,
                }),
            ),
    );
}

/// Of each broker its disk, and of the cluster partitions without a leader.
pub fn alarms(template: &mut Template, manifest: &Manifest, kafka: &Kafka, topic: &Value) {
    let cluster = json!({ "Name": "Cluster Name", "Value": manifest.prefix() });
    let alarm = |words: String, metric, dimensions, threshold, periods| Alarm {
        words,
        namespace: "AWS/Kafka".into(),
        metric,
        dimensions,
        statistic: "Maximum",
        threshold,
        side: Side::Above,
        period: 300,
        periods,
    };
    for broker in 1..=kafka.brokers {
        let words = format!("Kafka: the disk of broker {broker} is 80 % full; a full one takes no more writes");
        let dimensions = json!([cluster, { "Name": "Broker ID", "Value": broker.to_string() }]);
        let alarm = alarm(words, "KafkaDataLogsDiskUsed", dimensions, 80.0, 3);
        template.add(format!("KafkaDisk{broker}Alarm"), alarm.resource(topic));
    }
    let words = "Kafka: partitions have had no leader for 10 minutes: nothing can be written to them".to_owned();
    let offline = alarm(words, "OfflinePartitionsCount", json!([cluster]), 0.0, 2);
    template.add("KafkaOfflineAlarm", offline.resource(topic));
}
