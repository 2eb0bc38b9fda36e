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

#[tokio::test]
async fn each_revision_of_a_configuration_keeps_its_properties() {
    let (cx, _folder) = context_with(vec![super::service()]);
    let call = async |operation: &str, input: serde_json::Value| {
        let answer = cx.call("kafka", operation, input).await;
        answer.map_err(|error| error.code)
    };
    let first = json!({"name": "blue", "kafkaVersions": ["3.9.x"], "serverProperties": "YT0x"});
    let created = call("CreateConfiguration", first.clone()).await.unwrap();
    assert_eq!(created["latestRevision"]["revision"], 1);
    let arn = created["arn"].clone();
    let updated = call("UpdateConfiguration", json!({"arn": arn, "serverProperties": "YT0y"})).await;
    assert_eq!(updated.unwrap()["latestRevision"]["revision"], 2);
    for (revision, properties) in [("1", "YT0x"), ("2", "YT0y")] {
        let shown = call(
            "DescribeConfigurationRevision",
            json!({"arn": arn, "revision": revision}),
        )
        .await;
        assert_eq!(shown.unwrap()["serverProperties"], properties);
    }
    let shown = call("DescribeConfiguration", json!({"arn": arn})).await.unwrap();
    assert_eq!(shown["kafkaVersions"], json!(["3.9.x"]));
    for (operation, input, code) in [
        ("CreateConfiguration", first, "ConflictException"),
        (
            "CreateConfiguration",
            json!({"name": "a b", "serverProperties": "YT0x"}),
            "BadRequestException",
        ),
        (
            "CreateConfiguration",
            json!({"name": "red", "serverProperties": "%"}),
            "BadRequestException",
        ),
        (
            "CreateConfiguration",
            json!({"name": "red", "serverProperties": "YT0x", "colour": 1}),
            "BadRequestException",
        ),
        (
            "DescribeConfigurationRevision",
            json!({"arn": arn, "revision": "3"}),
            "NotFoundException",
        ),
        ("DescribeConfiguration", json!({"arn": "arn:x"}), "BadRequestException"),
    ] {
        assert_eq!(call(operation, input).await, Err(code.to_owned()), "{operation}");
    }
    call("DeleteConfiguration", json!({"arn": arn})).await.unwrap();
    assert!(call("DescribeConfiguration", json!({"arn": arn})).await.is_err());
}
