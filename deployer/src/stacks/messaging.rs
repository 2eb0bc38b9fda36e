//! The Kafka cluster and its topics.

use serde_json::json;

use super::links::{self, Group};
use super::{Stack, from_output, name_of};
use crate::manifest::{KafkaSecurity, Manifest};
use crate::template::{Resource, Template, base64, logical_id};

/// None without topics, or where the brokers are somebody else's.
pub fn stack(manifest: &Manifest) -> Option<Stack> {
    let kafka = manifest.kafka.as_ref().filter(|_| links::has_cluster(manifest))?;
    let mut template = Template::new(format!("{}: Kafka cluster and topics", manifest.prefix()));
    let subnets = template.parameter(
        "IsolatedSubnetIds",
        "List<AWS::EC2::Subnet::Id>",
        "Subnets of the brokers",
    );
    let security_name = Group::Kafka.output();
    let security = template.parameter(
        &security_name,
        "AWS::EC2::SecurityGroup::Id",
        "Who may reach the brokers",
    );
    let replicas = kafka.brokers.min(3);
    let configuration = template.add(
        "KafkaConfiguration",
        Resource::new("AWS::MSK::Configuration")
            .with("Name", manifest.prefix())
            .with(
                "Description",
                "No topic by accident; a write is acknowledged by a majority",
            )
            .with(
                "ServerProperties",
                base64(&format!(
                    "auto.create.topics.enable=false\ndefault.replication.factor={replicas}\nmin.insync.replicas={}\n",
                    if replicas > 2 { 2 } else { 1 }
                )),
            ),
    );
    let plaintext = kafka.security == KafkaSecurity::Plaintext;
    let cluster = template.add(
        "KafkaCluster",
        Resource::new("AWS::MSK::Cluster")
            .with("ClusterName", manifest.prefix())
            .with("KafkaVersion", kafka.version.clone())
            .with("NumberOfBrokerNodes", kafka.brokers)
            .with(
                "BrokerNodeGroupInfo",
                json!({
                    "ClientSubnets": subnets.reference(),
                    "InstanceType": kafka.instance_type,
                    "SecurityGroups": [security.reference()],
                    "StorageInfo": { "EBSStorageInfo": { "VolumeSize": kafka.storage_gib } },
                }),
            )
            // topics are made through IAM authentication, whatever the clients use
            .with(
                "ClientAuthentication",
                json!({ "Sasl": { "Iam": { "Enabled": true } }, "Unauthenticated": { "Enabled": plaintext } }),
            )
            .with(
                "EncryptionInfo",
                json!({ "EncryptionInTransit": {
                    "ClientBroker": if plaintext { "TLS_PLAINTEXT" } else { "TLS" },
                    "InCluster": true,
                } }),
            )
            .with(
                "ConfigurationInfo",
                json!({ "Arn": configuration.attribute("Arn"),
                        "Revision": configuration.attribute("LatestRevision.Revision") }),
            ),
    );
    for topic in &manifest.topics {
        let resource = Resource::new("AWS::MSK::Topic")
            .with("ClusterArn", cluster.reference())
            .with("TopicName", topic.name.clone())
            .with("PartitionCount", topic.partitions)
            .with("ReplicationFactor", topic.replication_factor);
        let resource = if manifest.protected {
            resource.retained()
        } else {
            resource.deleted()
        };
        template.add(logical_id(&[&topic.name, "Topic"]), resource);
    }
    template.output("KafkaClusterArn", "The cluster", cluster.reference());
    Some(Stack {
        name: name_of(manifest, "messaging"),
        short: "messaging".into(),
        template: template.to_json(),
        parameters: vec![
            from_output(manifest, "IsolatedSubnetIds", "network", "IsolatedSubnetIds"),
            from_output(manifest, &security_name, "network", &security_name),
        ],
        depends_on: vec![name_of(manifest, "network")],
        holds_data: true,
    })
}
