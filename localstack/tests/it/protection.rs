//! Deletion protection of databases and load balancers.

use embedded_endpoint::Behavior;
use serde_json::json;

use crate::endpoint::{Endpoint, element};

/// A protected database and load balancer, and a load balancer that cannot be created: it has one subnet.
fn template() -> String {
    let balancer = "AWS::ElasticLoadBalancingV2::LoadBalancer";
    let protected = json!([{"Key": "deletion_protection.enabled", "Value": "true"}]);
    json!({"Resources": {
        "Db": {"Type": "AWS::RDS::DBInstance", "DeletionPolicy": "Snapshot", "Properties": {
            "DBInstanceIdentifier": "orders", "Engine": "postgres", "MasterUsername": "app", "Port": "15480",
            "ManageMasterUserPassword": true, "AllocatedStorage": "20", "DeletionProtection": true}},
        "Balancer": {"Type": balancer, "Properties": {
            "Name": "front", "Subnets": ["subnet-a", "subnet-b"], "LoadBalancerAttributes": protected}},
        "Invalid": {"Type": balancer, "DependsOn": ["Db", "Balancer"], "Properties": {"Subnets": ["subnet-a"]}},
    }})
    .to_string()
}

#[tokio::test]
async fn a_failed_first_creation_of_something_protected_is_deleted_once_the_protection_is_lifted() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 80, Behavior::default()).await;
    let stack = [
        ("Action", "CreateStack"),
        ("StackName", "data"),
        ("TemplateBody", &template()),
    ];
    endpoint.cloudformation(&stack).await.unwrap();
    assert_eq!(endpoint.stack_status("data").await, "ROLLBACK_FAILED");
    let deletion = [("Action", "DeleteStack"), ("StackName", "data")];
    endpoint.cloudformation(&deletion).await.unwrap();
    assert_eq!(endpoint.stack_status("data").await, "DELETE_FAILED");

    let database = ("DBInstanceIdentifier", "orders");
    let refused = endpoint
        .rds(&[("Action", "DeleteDBInstance"), database, ("SkipFinalSnapshot", "true")])
        .await;
    assert_eq!(refused, Err("InvalidParameterCombination".into()));
    let elb =
        async |parameters: &[(&str, &str)]| endpoint.query("elasticloadbalancing", "2015-12-01", parameters).await;
    let found = elb(&[("Action", "DescribeLoadBalancers"), ("Names.member.1", "front")])
        .await
        .unwrap();
    let arn = ("LoadBalancerArn", element(&found, "LoadBalancerArn").unwrap());
    let refused = elb(&[("Action", "DeleteLoadBalancer"), arn]).await;
    assert_eq!(refused, Err("OperationNotPermitted".into()));

    endpoint
        .rds(&[
            ("Action", "ModifyDBInstance"),
            database,
            ("DeletionProtection", "false"),
        ])
        .await
        .unwrap();
    let attribute = [
        ("Attributes.member.1.Key", "deletion_protection.enabled"),
        ("Attributes.member.1.Value", "false"),
    ];
    elb(&[
        ("Action", "ModifyLoadBalancerAttributes"),
        arn,
        attribute[0],
        attribute[1],
    ])
    .await
    .unwrap();
    endpoint.cloudformation(&deletion).await.unwrap();
    assert_eq!(endpoint.stack_status("data").await, "DELETED");
    endpoint.stop().await;
}

#[tokio::test]
async fn a_load_balancer_without_protection_is_deleted_with_its_listeners() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 81, Behavior::default()).await;
    let response = json!({"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}});
    let template = json!({"Resources": {
        "Balancer": {"Type": "AWS::ElasticLoadBalancingV2::LoadBalancer", "Properties": {
            "Name": "front", "Subnets": ["subnet-a", "subnet-b"]}},
        "Listener": {"Type": "AWS::ElasticLoadBalancingV2::Listener", "Properties": {
            "LoadBalancerArn": {"Ref": "Balancer"}, "Port": 18480, "Protocol": "HTTP", "DefaultActions": [response]}},
    }})
    .to_string();
    let stack = [
        ("Action", "CreateStack"),
        ("StackName", "front"),
        ("TemplateBody", &template),
    ];
    endpoint.cloudformation(&stack).await.unwrap();
    assert_eq!(endpoint.stack_status("front").await, "CREATE_COMPLETE");
    assert!(tokio::net::TcpStream::connect("127.0.0.1:18480").await.is_ok());
    let elb =
        async |parameters: &[(&str, &str)]| endpoint.query("elasticloadbalancing", "2015-12-01", parameters).await;
    let found = elb(&[("Action", "DescribeLoadBalancers")]).await.unwrap();
    let arn = ("LoadBalancerArn", element(&found, "LoadBalancerArn").unwrap());
    let found = elb(&[("Action", "DescribeListeners"), arn]).await.unwrap();
    let listener = ("ListenerArns.member.1", element(&found, "ListenerArn").unwrap());
    elb(&[("Action", "DeleteLoadBalancer"), arn]).await.unwrap();
    let found = elb(&[("Action", "DescribeListeners"), listener]).await;
    assert_eq!(found, Err("ListenerNotFound".into()));
    endpoint.stop().await;
}
