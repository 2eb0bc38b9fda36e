//! Names of Cloud Map with the age that a resolver's answers have.

use std::time::Duration;

use embedded_endpoint::Behavior;
use embedded_endpoint::behavior::Dns;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::endpoint::{Endpoint, element};

/// Returns true if a connection to the name's address leads to a task.
async fn is_served(name: &str) -> bool {
    let Ok(mut client) = TcpStream::connect(name).await else {
        return false;
    };
    let mut greeting = [0; 5];
    client
        .read_exact(&mut greeting)
        .await
        .is_ok_and(|_| &greeting == b"hello")
}

#[tokio::test]
async fn a_name_asked_before_its_service_has_a_task_is_refused_for_the_ttl_of_the_soa_record() {
    let folder = tempfile::tempdir().unwrap();
    let behavior = Behavior {
        dns: Dns::Cached,
        ..Behavior::default()
    };
    let endpoint = Endpoint::start(&folder, 89, behavior).await;
    let template = json!({
        "Resources": {
            "Namespace": {"Type": "AWS::ServiceDiscovery::PrivateDnsNamespace", "Properties": {
                "Name": "shop.internal", "Vpc": "vpc-1", "Properties": {"DnsProperties": {"SOA": {"TTL": 3}}}}},
            "Service": {"Type": "AWS::ServiceDiscovery::Service", "Properties": {
                "Name": "web", "DnsConfig": {"NamespaceId": {"Ref": "Namespace"}, "DnsRecords": [{"Type": "A", "TTL": 1}]}}},
        },
        "Outputs": {"Service": {"Value": {"Ref": "Service"}}},
    })
    .to_string();
    let stack = [
        ("Action", "CreateStack"),
        ("StackName", "names"),
        ("TemplateBody", template.as_str()),
    ];
    endpoint.cloudformation(&stack).await.unwrap();
    assert_eq!(endpoint.stack_status("names").await, "CREATE_COMPLETE");
    let described = endpoint
        .cloudformation(&[("Action", "DescribeStacks"), ("StackName", "names")])
        .await
        .unwrap();
    let service = element(&described, "OutputValue").unwrap();
    let register = async |id: &str, address: &str| {
        let attributes = json!({"AWS_INSTANCE_IPV4": address, "AWS_INSTANCE_PORT": "18489"});
        let input = json!({"ServiceId": service, "InstanceId": id, "Attributes": attributes});
        let target = "Route53AutoNaming_v20170314.RegisterInstance";
        endpoint.json("servicediscovery", target, input).await.unwrap();
        // The proxies follow the registrations within a quarter of a second.
        tokio::time::sleep(Duration::from_millis(600)).await;
    };
    // An instance without an address makes the port known and does not answer.
    let socket = TcpListener::bind("127.89.16.1:18489").await.unwrap();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = socket.accept().await.unwrap();
            client.write_all(b"hello").await.unwrap();
        }
    });
    let attributes = json!({"AWS_INSTANCE_PORT": "18489"});
    let input = json!({"ServiceId": service, "InstanceId": "none", "Attributes": attributes});
    endpoint
        .json(
            "servicediscovery",
            "Route53AutoNaming_v20170314.RegisterInstance",
            input,
        )
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let name = "127.89.3.1:18489";
    assert!(!is_served(name).await);
    register("one", "127.89.16.1").await;
    assert!(!is_served(name).await, "the negative answer is still kept");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(is_served(name).await);
    endpoint.stop().await;
}
