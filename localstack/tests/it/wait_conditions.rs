//! Wait conditions and the signals of their handles.

use embedded_endpoint::Behavior;
use http::StatusCode;
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, element};

fn template(count: u32, timeout: u32) -> String {
    json!({
        "Resources": {
            "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
            "Wait": {"Type": "AWS::CloudFormation::WaitCondition", "Properties": {
                "Handle": {"Ref": "Handle"}, "Count": count, "Timeout": timeout.to_string()}},
        },
        "Outputs": {"Data": {"Value": {"Fn::GetAtt": ["Wait", "Data"]}}},
    })
    .to_string()
}

/// Creates a stack, and returns the path of its handle.
async fn create(endpoint: &Endpoint, stack: &str, template: &str) -> String {
    let parameters = [
        ("Action", "CreateStack"),
        ("StackName", stack),
        ("TemplateBody", template),
    ];
    endpoint.cloudformation(&parameters).await.unwrap();
    let resource = [
        ("Action", "DescribeStackResource"),
        ("StackName", stack),
        ("LogicalResourceId", "Handle"),
    ];
    loop {
        let found = endpoint.cloudformation(&resource).await.unwrap_or_default();
        if let Some(url) = element(&found, "PhysicalResourceId") {
            let at = url.find("/_cloudformation").unwrap();
            return url[at..].to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn signal(id: &str, status: &str) -> String {
    json!({"Status": status, "Reason": "because", "UniqueId": id, "Data": format!("data of {id}")}).to_string()
}

#[tokio::test]
async fn a_wait_condition_waits_for_its_signals_until_its_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 83, Behavior::default()).await;

    let handle = create(&endpoint, "complete", &template(2, 60)).await;
    assert_eq!(endpoint.put(&handle, "no JSON".into()).await, StatusCode::BAD_REQUEST);
    assert_eq!(
        endpoint.put(&format!("{handle}0"), signal("a", "SUCCESS")).await,
        StatusCode::NOT_FOUND
    );
    // A repeated id counts once.
    for id in ["a", "a", "b"] {
        assert_eq!(endpoint.put(&handle, signal(id, "SUCCESS")).await, StatusCode::OK);
    }
    assert_eq!(endpoint.stack_status("complete").await, "CREATE_COMPLETE");
    let described = endpoint
        .cx
        .call("cloudformation", "DescribeStacks", json!({"StackName": "complete"}))
        .await
        .unwrap();
    let data = described["Stacks"][0]["Outputs"][0]["OutputValue"].as_str().unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data, json!({"a": "data of a", "b": "data of b"}));

    let handle = create(&endpoint, "failed", &template(2, 60)).await;
    assert_eq!(endpoint.put(&handle, signal("a", "FAILURE")).await, StatusCode::OK);
    assert_eq!(endpoint.stack_status("failed").await, "ROLLBACK_COMPLETE");

    create(&endpoint, "late", &template(1, 0)).await;
    assert_eq!(endpoint.stack_status("late").await, "ROLLBACK_COMPLETE");
    let events = endpoint
        .cloudformation(&[("Action", "DescribeStackEvents"), ("StackName", "late")])
        .await
        .unwrap();
    assert!(events.contains("Received 0 conditions when expecting 1"), "{events}");
}
