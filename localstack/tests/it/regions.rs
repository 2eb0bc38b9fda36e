//! The regions of one endpoint.

use embedded_endpoint::Behavior;
use http::StatusCode;
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, element};

const CLOUDFORMATION: (&str, &str) = ("cloudformation", "2010-05-15");

async fn parameter(client: &Endpoint, operation: &str, input: Value) -> Result<Value, String> {
    client.json("ssm", &format!("AmazonSSM.{operation}"), input).await
}

#[tokio::test]
async fn what_is_made_in_a_region_is_there_alone_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let near = Endpoint::start(&folder, 101, Behavior::default()).await;
    let far = near.in_region("eu-west-1");
    let get = || json!({"Name": "color"});
    for (client, value) in [(&near, "red"), (&far, "blue")] {
        assert_eq!(
            parameter(client, "GetParameter", get()).await,
            Err("ParameterNotFound".into())
        );
        let input = json!({"Name": "color", "Value": value, "Type": "String"});
        parameter(client, "PutParameter", input).await.unwrap();
    }
    let statement =
        json!({"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"});
    let trust = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let role = [("RoleName", "r"), ("AssumeRolePolicyDocument", trust.as_str())];
    far.expect(("iam", "2010-05-08"), &[("CreateRole", &role, None)]).await;
    let unknown = near.in_region("nowhere");
    assert_eq!(
        parameter(&unknown, "GetParameter", get()).await,
        Err("SignatureDoesNotMatch".into())
    );
    near.stop().await;
    drop(far);
    drop(unknown);

    let near = Endpoint::start(&folder, 101, Behavior::default()).await;
    let far = near.in_region("eu-west-1");
    assert_eq!(
        near.cx.regions().len(),
        2,
        "a region with state starts with the endpoint"
    );
    for (client, value, region) in [(&near, "red", "us-east-1"), (&far, "blue", "eu-west-1")] {
        let found = parameter(client, "GetParameter", get()).await.unwrap();
        assert_eq!(found["Parameter"]["Value"], value);
        assert_eq!(
            found["Parameter"]["ARN"],
            format!("arn:aws:ssm:{region}:000000000000:parameter/color")
        );
    }
    near.expect(("iam", "2010-05-08"), &[("GetRole", &[("RoleName", "r")], None)])
        .await;
    near.stop().await;
}

#[tokio::test]
async fn a_stack_has_the_region_of_its_request() {
    let folder = tempfile::tempdir().unwrap();
    let near = Endpoint::start(&folder, 102, Behavior::default()).await;
    let far = near.in_region("eu-west-1");
    let zones = json!({"Fn::Join": [",", {"Fn::GetAZs": ""}]});
    let template = json!({
        "Resources": {"Zones": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Name": "zones", "Value": zones}}},
        "Outputs": {
            "Region": {"Value": {"Ref": "AWS::Region"}},
            "Elsewhere": {"Value": {"Fn::Select": [2, {"Fn::GetAZs": "ap-south-1"}]}},
        },
    });
    let template = template.to_string();
    for (client, region) in [(&near, "us-east-1"), (&far, "eu-west-1")] {
        let create = [("StackName", "same"), ("TemplateBody", template.as_str())];
        let id = client.get(CLOUDFORMATION, "CreateStack", &create, "StackId").await;
        assert!(id.contains(&format!(":cloudformation:{region}:")), "{id}");
        let describe = [("StackName", id.as_str())];
        while client
            .get(CLOUDFORMATION, "DescribeStacks", &describe, "StackStatus")
            .await
            != "CREATE_COMPLETE"
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let stack = client
            .action(CLOUDFORMATION, "DescribeStacks", &describe)
            .await
            .unwrap();
        assert_eq!(
            stack.matches(&format!("<OutputValue>{region}</OutputValue>")).count(),
            1,
            "{stack}"
        );
        assert_eq!(
            stack.matches("<OutputValue>ap-south-1c</OutputValue>").count(),
            1,
            "{stack}"
        );
        let found = parameter(client, "GetParameter", json!({"Name": "zones"}))
            .await
            .unwrap();
        let expected = format!("{region}a,{region}b,{region}c");
        assert_eq!(found["Parameter"]["Value"], expected);
        assert_eq!(element(&stack, "StackName"), Some("same"));
    }
    near.stop().await;
}

#[tokio::test]
async fn a_token_of_the_registry_names_the_region_of_the_repositories() {
    let folder = tempfile::tempdir().unwrap();
    let near = Endpoint::start(&folder, 103, Behavior::default()).await;
    let far = near.in_region("eu-west-1");
    let ecr = async |client: &Endpoint, operation: &str, input: Value| {
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
        client.json("ecr", &target, input).await.unwrap()
    };
    ecr(&far, "CreateRepository", json!({"repositoryName": "team/shop"})).await;
    for (client, expected) in [(&near, StatusCode::NOT_FOUND), (&far, StatusCode::OK)] {
        let found = ecr(client, "GetAuthorizationToken", json!({})).await;
        let token = found["authorizationData"][0]["authorizationToken"].as_str().unwrap();
        assert_eq!(near.tags("team/shop", Some(token)).await, expected);
    }
    assert_eq!(
        near.tags("team/shop", None).await,
        StatusCode::OK,
        "the first region that has it"
    );
    near.stop().await;
}
