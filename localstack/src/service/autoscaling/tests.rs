//! Tests of Application Auto Scaling.

use serde_json::json;

use super::*;
use crate::service::testing::{context_with, create};

#[tokio::test]
async fn targets_and_policies_of_broker_storage_are_described_in_their_own_namespace() {
    let (cx, _folder) = context_with(vec![service()]);
    let cluster = "arn:aws:kafka:us-east-1:000000000000:cluster/c/1";
    let properties = |dimension: &str| {
        json!({"ServiceNamespace": "kafka", "ScalableDimension": dimension, "ResourceId": cluster,
               "MinCapacity": 1, "MaxCapacity": 400})
    };
    let kind = "AWS::ApplicationAutoScaling::ScalableTarget";
    let unsupported = create(&cx, kind, "Other", properties("kafka:broker:Count"))
        .await
        .unwrap_err();
    insta::assert_snapshot!(unsupported, @"The embedded endpoint scales ecs:service:DesiredCount and kafka:broker-storage:VolumeSize only, not kafka kafka:broker:Count. (ValidationException)");
    let target = create(&cx, kind, "Target", properties("kafka:broker-storage:VolumeSize"))
        .await
        .unwrap();
    let policy = json!({"PolicyName": "storage", "PolicyType": "TargetTrackingScaling",
                        "ScalingTargetId": target.physical_id});
    create(&cx, "AWS::ApplicationAutoScaling::ScalingPolicy", "Policy", policy)
        .await
        .unwrap();
    let described = async |operation: &str, list: &str| {
        let input = json!({"ServiceNamespace": "kafka"});
        cx.call("application-autoscaling", operation, input).await.unwrap()[list][0].clone()
    };
    for (operation, list) in [
        ("DescribeScalableTargets", "ScalableTargets"),
        ("DescribeScalingPolicies", "ScalingPolicies"),
    ] {
        let found = described(operation, list).await;
        assert_eq!(found["ServiceNamespace"], "kafka");
        assert_eq!(found["ScalableDimension"], "kafka:broker-storage:VolumeSize");
        assert_eq!(found["ResourceId"], cluster);
    }
}

#[tokio::test]
async fn targets_and_policies_are_registered_and_removed_by_the_api() {
    let (cx, _folder) = context_with(vec![service()]);
    let call = async |operation: &'static str, input: Value| cx.call("application-autoscaling", operation, input).await;
    let of_target = |more: Value| {
        let mut input = json!({
            "ServiceNamespace": "kafka", "ScalableDimension": "kafka:broker-storage:VolumeSize", "ResourceId": "c",
        });
        for (member, value) in more.as_object().unwrap() {
            input[member.as_str()] = value.clone();
        }
        input
    };
    let policy = || {
        let tracking = json!({"TargetValue": 60.0});
        of_target(json!({
            "PolicyName": "p", "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": tracking,
        }))
    };
    let early = call("PutScalingPolicy", policy()).await.unwrap_err();
    assert_eq!(early.code, "ObjectNotFoundException");
    let bounds = json!({"MinCapacity": 1, "MaxCapacity": 5, "Tags": {"a": "b"}});
    let arn = call("RegisterScalableTarget", of_target(bounds)).await.unwrap()["ScalableTargetARN"].clone();
    call("RegisterScalableTarget", of_target(json!({"MaxCapacity": 9})))
        .await
        .unwrap();
    let tags = call("ListTagsForResource", json!({"ResourceARN": arn})).await.unwrap();
    assert_eq!(tags["Tags"], json!({"a": "b"}));
    let found = call("DescribeScalableTargets", json!({"ServiceNamespace": "kafka"}))
        .await
        .unwrap();
    let found = &found["ScalableTargets"][0];
    assert_eq!((&found["MinCapacity"], &found["MaxCapacity"]), (&json!(1), &json!(9)));
    let first = call("PutScalingPolicy", policy()).await.unwrap();
    assert_eq!(call("PutScalingPolicy", policy()).await.unwrap(), first);
    call("DeleteScalingPolicy", of_target(json!({"PolicyName": "p"})))
        .await
        .unwrap();
    let gone = call("DeleteScalingPolicy", of_target(json!({"PolicyName": "p"})))
        .await
        .unwrap_err();
    assert_eq!(gone.code, "ObjectNotFoundException");
    call("DeregisterScalableTarget", of_target(json!({}))).await.unwrap();
    let gone = call("DeregisterScalableTarget", of_target(json!({})))
        .await
        .unwrap_err();
    assert_eq!(gone.code, "ObjectNotFoundException");
}
