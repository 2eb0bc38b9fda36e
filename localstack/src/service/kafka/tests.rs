//! Tests against the installed broker; scripts/test installs one.

use serde_json::json;

use super::broker::server;
use super::lifecycle;
use super::model::CLUSTERS;
use crate::service::testing::{context_with, create, desired};
use crate::{Call, Service};

#[tokio::test]
async fn a_cluster_keeps_its_topics_when_its_broker_is_killed() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let properties = json!({
        "ClusterName": "events", "KafkaVersion": "4.0.x.kraft", "NumberOfBrokerNodes": 2,
        "BrokerNodeGroupInfo": {"ClientSubnets": ["subnet-1", "subnet-2"], "InstanceType": "kafka.t3.small"},
    });
    let cluster = create(&cx, "AWS::MSK::Cluster", "Cluster", properties)
        .await
        .unwrap()
        .physical_id;
    let topic = |partitions: i32| json!({"ClusterArn": cluster, "TopicName": "patient", "PartitionCount": partitions, "ReplicationFactor": 2});
    let created = create(&cx, "AWS::MSK::Topic", "Topic", topic(3)).await.unwrap();
    assert!(created.physical_id.ends_with("/patient"), "{}", created.physical_id);
    let again = create(&cx, "AWS::MSK::Topic", "Again", topic(3)).await.unwrap_err();
    assert_eq!(again.to_string(), "the topic 'patient' already exists");

    let server = server(&cx, &CLUSTERS.get(&cx, &cluster).unwrap().unwrap()).unwrap();
    let process = server.running().unwrap();
    process.signal(rustix::process::Signal::KILL);
    while process.is_alive() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    super::supervisor::recover(&cx).await.unwrap();
    let resource_type = cx.resource_type("AWS::MSK::Topic").unwrap();
    resource_type
        .update(&cx, &created.physical_id, &topic(3), &desired("Topic", topic(4)))
        .await
        .unwrap();
    assert_eq!(
        resource_type.read(&cx, &created.physical_id).await.unwrap().unwrap()["PartitionCount"],
        4
    );

    let call = Call {
        operation: "GetBootstrapBrokers".into(),
        input: json!({"clusterArn": cluster}),
        region: "r".into(),
    };
    let response = super::Kafka.call(&cx, call).await.unwrap();
    assert_eq!(response["bootstrapBrokerString"], "127.77.2.1:9092");
    resource_type
        .delete(&cx, &created.physical_id, &topic(4))
        .await
        .unwrap();
    lifecycle::delete(&cx, &cluster).await.unwrap();
    assert!(server.running().is_none() && !server.settings.folder.exists());
    cx.shutdown().cancel();
}
