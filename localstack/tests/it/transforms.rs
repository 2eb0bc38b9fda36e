//! Transforms, service roles and stacks in review, through the whole endpoint.

use embedded_endpoint::Behavior;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::engine::{template, test_endpoint};
use crate::test_resource::resource;

#[tokio::test]
async fn a_transform_is_acknowledged_and_its_result_deployed() {
    let endpoint = test_endpoint();
    let copy = json!({"${N}": resource("${N}", json!({"Value": {"Fn::ToJsonString": {"name": {"Ref": "N"}}}}))});
    let mut template = template(json!({"Fn::ForEach::Each": ["N", {"Ref": "Names"}, copy]}));
    template["Transform"] = "AWS::LanguageExtensions".into();
    template["Parameters"] = json!({"Names": {"Type": "CommaDelimitedList", "Default": "Alpha,Beta"}});
    template["Outputs"] = json!({"Count": {"Value": {"Fn::Length": {"Ref": "Names"}}}});
    let refused = endpoint.call_with_template("CreateStack", "s", template.clone()).await;
    assert_eq!(refused.unwrap_err().code, "InsufficientCapabilitiesException");
    let mut input =
        json!({"StackName": "s", "TemplateBody": template.to_string(), "Capabilities": ["CAPABILITY_AUTO_EXPAND"]});
    endpoint.call("CreateStack", input.clone()).await.unwrap();
    assert_eq!(endpoint.status("s").await, "CREATE_COMPLETE");
    assert_eq!(endpoint.names(), ["Alpha", "Beta"]);
    assert_eq!(endpoint.properties("Beta")["Value"], r#"{"name":"Beta"}"#);
    for (stage, member) in [("Original", "Fn::ForEach::Each"), ("Processed", "Alpha")] {
        let found = endpoint
            .call("GetTemplate", json!({"StackName": "s", "TemplateStage": stage}))
            .await;
        let body: Value = serde_json::from_str(found.unwrap()["TemplateBody"].as_str().unwrap()).unwrap();
        assert!(body["Resources"].get(member).is_some(), "{stage}: {body}");
    }
    input["Parameters"] = json!([{"ParameterKey": "Names", "ParameterValue": "Beta"}]);
    endpoint.call("UpdateStack", input).await.unwrap();
    assert_eq!(endpoint.status("s").await, "UPDATE_COMPLETE");
    assert_eq!(endpoint.names(), ["Beta"]);
}

#[tokio::test]
async fn functions_of_a_transform_are_refused_without_it() {
    let endpoint = test_endpoint();
    for function in [
        json!({"Fn::Length": ["a"]}),
        json!({"Fn::ToJsonString": {"a": 1}}),
        json!({"Fn::Transform": {"Name": "Mine"}}),
    ] {
        let template = template(json!({"R": resource("r", json!({"Value": function}))}));
        let refused = endpoint.call_with_template("CreateStack", "s", template).await;
        assert_eq!(refused.unwrap_err().code, "ValidationError", "{function}");
    }
}

#[tokio::test]
async fn an_include_that_fails_fails_its_change_set() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 83, Behavior::default()).await;
    let call = async |operation: &'static str, input: Value| endpoint.cx.call("cloudformation", operation, input).await;
    let include = json!({"Name": "AWS::Include", "Parameters": {"Location": "s3://nowhere/part.json"}});
    let template =
        json!({"Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": {"Fn::Transform": include}}}});
    let input = json!({"StackName": "s", "ChangeSetName": "c", "ChangeSetType": "CREATE", "TemplateBody": template.to_string()});
    let set = call("CreateChangeSet", input).await.unwrap();
    let set = call("DescribeChangeSet", json!({"ChangeSetName": set["Id"]}))
        .await
        .unwrap();
    assert_eq!(set["Status"], "FAILED");
    assert_eq!(
        set["StatusReason"],
        "Transform AWS::Include failed with: S3 bucket [nowhere] does not exist."
    );
    let refused = call("ExecuteChangeSet", json!({"ChangeSetName": set["ChangeSetId"]})).await;
    assert_eq!(refused.unwrap_err().code, "InvalidChangeSetStatus");
    // The stack is in review: CreateStack takes its place.
    let properties = json!({"Type": "String", "Value": "v"});
    let template = json!({"Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": properties}}});
    let created = call(
        "CreateStack",
        json!({"StackName": "s", "TemplateBody": template.to_string()}),
    )
    .await;
    assert_eq!(created.unwrap()["StackId"], set["StackId"]);
    let set = call("DescribeChangeSet", json!({"ChangeSetName": set["ChangeSetId"]}))
        .await
        .unwrap();
    assert_eq!(set["ExecutionStatus"], "OBSOLETE");
}

#[tokio::test]
async fn a_service_role_exists_trusts_cloudformation_and_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 84, Behavior::default()).await;
    let call = async |service: &'static str, operation: &'static str, input: Value| {
        endpoint.cx.call(service, operation, input).await
    };
    let properties = json!({"Type": "String", "Value": "v"});
    let template = json!({"Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": properties}}}).to_string();
    for (name, principal, is_taken) in [
        ("cfn", "cloudformation.amazonaws.com", true),
        ("ec2", "ec2.amazonaws.com", false),
    ] {
        let trust = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"},
        ]});
        let role = json!({"RoleName": name, "AssumeRolePolicyDocument": trust.to_string()});
        let arn = call("iam", "CreateRole", role).await.unwrap()["Role"]["Arn"].clone();
        let input = json!({"StackName": name, "TemplateBody": template, "RoleARN": arn});
        let created = call("cloudformation", "CreateStack", input).await;
        if !is_taken {
            let message = format!("Role {} is invalid or cannot be assumed", arn.as_str().unwrap());
            assert_eq!(created.unwrap_err().message, message);
            continue;
        }
        created.unwrap();
        let shown = call("cloudformation", "DescribeStacks", json!({"StackName": name}))
            .await
            .unwrap();
        assert_eq!(shown["Stacks"][0]["RoleARN"], arn);
    }
}
