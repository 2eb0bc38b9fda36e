//! The Kafka cluster and its topics.

mod alarms;
mod settings;

use serde_json::{Value, json};

use super::inputs::Inputs;
use super::links::{self, Group};
use super::{Stack, kms, name_of};
use crate::manifest::{Kafka, KafkaSecurity, Manifest};
use cfn::template::{Handle, Resource, Template, base64, logical_id};

/// The output with the cluster's ARN.
pub const CLUSTER: &str = "KafkaClusterArn";

/// Returns the stack of the cluster; `None` without topics and for brokers of another operator.
pub fn stack(manifest: &Manifest) -> Option<Stack> {
    let kafka = manifest.kafka.as_ref().filter(|_| links::has_cluster(manifest))?;
    let mut template = Template::new(format!("{}: Kafka cluster and topics", manifest.prefix()));
    let mut inputs = Inputs::default();
    let cluster = cluster(manifest, kafka, &mut template, &mut inputs);
    for topic in &manifest.topics {
        let resource = Resource::new("AWS::MSK::Topic")
            .with("ClusterArn", cluster.reference())
            .with("TopicName", topic.name.clone())
            .with("PartitionCount", topic.partitions)
            .with("ReplicationFactor", topic.replication_factor);
        let resource = if manifest.protected {
            resource.retained_once_created()
        } else {
            resource.deleted()
        };
        template.add(logical_id(&[&topic.name, "Topic"]), resource);
    }
    if manifest.protected {
        alarms::autoscale_storage(&mut template, kafka, &cluster);
    }
    if let Some(topic) = super::alarms::topic(manifest, &mut template, &mut inputs) {
        alarms::add(&mut template, manifest, kafka, &topic);
    }
    template.output(CLUSTER, "ARN of the Kafka cluster", cluster.reference());
    Some(Stack {
        name: name_of(manifest, "messaging"),
        short_name: "messaging".into(),
        template: template.to_json(),
        parameters: inputs.parameters,
        depends_on: inputs.depends_on,
    })
}

fn cluster(manifest: &Manifest, kafka: &Kafka, template: &mut Template, inputs: &mut Inputs) -> Handle {
    let subnets = (
        "IsolatedSubnetIds",
        "List<AWS::EC2::Subnet::Id>",
        "Subnets of the brokers",
    );
    let subnets = inputs.output(manifest, template, subnets, "network");
    let security = Group::Kafka.output();
    let security = (
        security.as_str(),
        "AWS::EC2::SecurityGroup::Id",
        "The security group of the brokers",
    );
    let security = inputs.output(manifest, template, security, "network");
    let key = kms::arn(manifest, template, inputs);
    let configuration = template.add(
        "KafkaConfiguration",
        Resource::new("AWS::MSK::Configuration")
            .with("Name", manifest.prefix())
            .with(
                "Description",
                "Topics are created explicitly; a write is acknowledged by all in-sync replicas",
            )
            .with(
                "ServerProperties",
                base64(&settings::server(kafka.brokers, kafka.retention_hours)),
            ),
    );
    let plaintext = kafka.security == KafkaSecurity::Plaintext;
    let mut encryption = json!({ "EncryptionInTransit": {
        "ClientBroker": if plaintext { "TLS_PLAINTEXT" } else { "TLS" },
        "InCluster": true,
    } });
    if let Some(key) = &key {
        encryption["EncryptionAtRest"] = json!({ "DataVolumeKMSKeyId": key });
    }
    let resource = Resource::new("AWS::MSK::Cluster")
        .with("ClusterName", manifest.prefix())
        .with("KafkaVersion", kafka.version.clone())
        .with("NumberOfBrokerNodes", kafka.brokers)
        .with(
            "BrokerNodeGroupInfo",
            json!({
                "ClientSubnets": subnets,
                "InstanceType": kafka.instance_type,
                "SecurityGroups": [security],
                "StorageInfo": { "EBSStorageInfo": { "VolumeSize": kafka.storage_gib } },
            }),
        )
        // CloudFormation creates topics through IAM authentication, whatever the clients use.
        .with(
            "ClientAuthentication",
            json!({ "Sasl": { "Iam": { "Enabled": true } }, "Unauthenticated": { "Enabled": plaintext } }),
        )
        .with("EncryptionInfo", encryption)
        .with(
            "ConfigurationInfo",
            json!({ "Arn": configuration.attribute("Arn"),
                    "Revision": configuration.attribute("LatestRevision.Revision") }),
        )
        .with("LoggingInfo", logging(manifest, template, key));
    let resource = if plaintext {
        resource.skip_check(
        "CKV_AWS_81",
        "kafka.security is plaintext: a disposable environment, its brokers in isolated subnets behind security groups",
    )
    } else {
        resource
    };
    template.add("KafkaCluster", resource)
}

/// Adds the brokers' log group. Its name has the prefix of AWS's log deliveries: with another one each cluster would add to
/// the account's one resource policy, whose size is limited (CloudWatch Logs: "Logs sent to CloudWatch Logs").
fn logging(manifest: &Manifest, template: &mut Template, key: Option<Value>) -> Value {
    let group = Resource::new("AWS::Logs::LogGroup")
        .with("LogGroupName", format!("/aws/vendedlogs/msk/{}", manifest.prefix()))
        .with("RetentionInDays", if manifest.protected { 90 } else { 7 })
        .deleted();
    let group = kms::encrypting(group, "KmsKeyId", key, "CKV_AWS_158");
    let group = template.add("KafkaLogGroup", group);
    json!({ "BrokerLogs": { "CloudWatchLogs": { "Enabled": true, "LogGroup": group.reference() } } })
}

#[cfg(test)]
mod tests;
