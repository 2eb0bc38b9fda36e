//! Service-linked roles, quotas and zones of the account.

use std::time::Duration;

use embedded_endpoint::Behavior;
use serde_json::json;

use crate::endpoint::{Endpoint, element};

const FARGATE: &str = "L-3032A538";

#[tokio::test]
async fn a_service_linked_role_can_be_created_once() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 85, Behavior::default()).await;
    let iam = async |parameters: &[(&str, &str)]| endpoint.query("iam", "2010-05-08", parameters).await;
    for (service, name) in [
        ("ecs.amazonaws.com", "AWSServiceRoleForECS"),
        (
            "kafka.application-autoscaling.amazonaws.com",
            "AWSServiceRoleForApplicationAutoScaling_KafkaCluster",
        ),
    ] {
        let get = [("Action", "GetRole"), ("RoleName", name)];
        assert_eq!(iam(&get).await, Err("NoSuchEntity".into()));
        let create = [("Action", "CreateServiceLinkedRole"), ("AWSServiceName", service)];
        assert_eq!(element(&iam(&create).await.unwrap(), "RoleName"), Some(name));
        assert_eq!(iam(&create).await, Err("InvalidInput".into()));
        let found = iam(&get).await.unwrap();
        assert_eq!(
            element(&found, "Path"),
            Some(format!("/aws-service-role/{service}/").as_str())
        );
    }
    endpoint.stop().await;
}

#[tokio::test]
async fn a_task_beyond_the_quota_on_vcpus_is_not_placed() {
    let folder = tempfile::tempdir().unwrap();
    let behavior = Behavior {
        quotas: vec![format!("{FARGATE}=0.75").parse().unwrap()],
        ..Behavior::default()
    };
    let endpoint = Endpoint::start(&folder, 86, behavior).await;
    let quota = async |operation: &str| {
        let input = json!({"ServiceCode": "fargate", "QuotaCode": FARGATE});
        let target = format!("ServiceQuotasV20190624.{operation}");
        endpoint.json("servicequotas", &target, input).await.unwrap()["Quota"]["Value"].clone()
    };
    assert_eq!(quota("GetServiceQuota").await, 0.75);
    assert_eq!(quota("GetAWSDefaultServiceQuota").await, 6.0);
    let unknown = json!({"ServiceCode": "fargate", "QuotaCode": "L-0"});
    let unknown = endpoint
        .json("servicequotas", "ServiceQuotasV20190624.GetServiceQuota", unknown)
        .await;
    assert_eq!(unknown, Err("NoSuchResourceException".into()));

    let ecs = async |operation: &str, input| {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        endpoint.json("ecs", &target, input).await
    };
    ecs("CreateCluster", json!({"clusterName": "shop"})).await.unwrap();
    let container = json!([{"name": "web", "image": "web:1", "essential": true}]);
    let definition = json!({
        "family": "web", "cpu": "512", "memory": "1024", "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"], "containerDefinitions": container,
    });
    ecs("RegisterTaskDefinition", definition).await.unwrap();
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-a"]}});
    let service = json!({
        "cluster": "shop", "serviceName": "web", "taskDefinition": "web", "desiredCount": 2, "launchType": "FARGATE",
        "networkConfiguration": network,
    });
    ecs("CreateService", service).await.unwrap();
    let reason = "(service web) was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run concurrently.";
    let mut refused = false;
    for _ in 0..100 {
        let found = ecs("DescribeServices", json!({"cluster": "shop", "services": ["web"]}))
            .await
            .unwrap();
        let events = found["services"][0]["events"].as_array().cloned().unwrap_or_default();
        refused = events.iter().any(|event| event["message"] == reason);
        if refused {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(refused, "no event says that a task was not placed");
    endpoint.stop().await;
}

#[tokio::test]
async fn the_usage_of_fargate_has_no_datapoint_without_tasks_and_other_metrics_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 87, Behavior::default()).await;
    let statistics = async |metric: &str| {
        let parameters = [
            ("Action", "GetMetricStatistics"),
            ("Namespace", "AWS/Usage"),
            ("MetricName", metric),
            ("StartTime", "2026-01-01T00:00:00Z"),
            ("EndTime", "2026-01-01T01:00:00Z"),
            ("Period", "300"),
            ("Statistics.member.1", "Maximum"),
            ("Dimensions.member.1.Name", "Service"),
            ("Dimensions.member.1.Value", "Fargate"),
            ("Dimensions.member.2.Name", "Resource"),
            ("Dimensions.member.2.Value", "vCPU"),
            ("Dimensions.member.3.Name", "Class"),
            ("Dimensions.member.3.Value", "Standard/OnDemand"),
        ];
        endpoint.query("monitoring", "2010-08-01", &parameters).await
    };
    let answer = statistics("ResourceCount").await.unwrap();
    assert_eq!(
        (element(&answer, "Label"), element(&answer, "Maximum")),
        (Some("ResourceCount"), None)
    );
    assert_eq!(statistics("CallCount").await, Err("NotImplemented".into()));
    endpoint.stop().await;
}

#[tokio::test]
async fn a_zone_that_does_not_exist_is_refused_before_the_stack_begins() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 88, Behavior::default()).await;
    let template = json!({
        "Parameters": {"Zone": {"Type": "AWS::EC2::AvailabilityZone::Name"}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"Zone": {"Value": {"Ref": "Zone"}}},
    })
    .to_string();
    let create = async |zone: &str| {
        let parameters = [
            ("Action", "CreateStack"),
            ("StackName", "zones"),
            ("TemplateBody", template.as_str()),
            ("Parameters.member.1.ParameterKey", "Zone"),
            ("Parameters.member.1.ParameterValue", zone),
        ];
        endpoint.cloudformation(&parameters).await
    };
    assert_eq!(create("us-east-1z").await, Err("ValidationError".into()));
    assert_eq!(endpoint.stack_status("zones").await, "DELETED");
    create("us-east-1b").await.unwrap();
    assert_eq!(endpoint.stack_status("zones").await, "CREATE_COMPLETE");
    endpoint.stop().await;
}
