//! Stacks that are resources of other stacks.

use embedded_endpoint::Behavior;
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, element};

const PARAMETER: &str = "AWS::SSM::Parameter";

/// Returns the template of the nested stack: a parameter of the parameter store with the value of `V`.
fn child(kind: &str) -> String {
    let value = json!({"Type": kind, "Value": {"Ref": "V"}});
    json!({
        "Parameters": {"V": {"Type": "String"}},
        "Resources": {"P": {"Type": PARAMETER, "Properties": value}},
        "Outputs": {"Out": {"Value": {"Fn::Sub": "${P.Value}!"}}},
    })
    .to_string()
}

fn parent(object: &str, value: &str) -> String {
    let properties =
        json!({"TemplateURL": format!("https://nested.s3.amazonaws.com/{object}"), "Parameters": {"V": value}});
    json!({
        "Resources": {
            "Child": {"Type": "AWS::CloudFormation::Stack", "Properties": properties},
            "After": {"Type": PARAMETER, "Properties": {"Type": "String", "Value": {"Fn::GetAtt": ["Child", "Outputs.Out"]}}},
        },
        "Outputs": {"Value": {"Value": {"Fn::GetAtt": ["After", "Value"]}}, "Child": {"Value": {"Ref": "Child"}}},
    })
    .to_string()
}

async fn outputs(endpoint: &Endpoint, stack: &str) -> Value {
    let input = json!({"StackName": stack});
    let described = endpoint
        .cx
        .call("cloudformation", "DescribeStacks", input)
        .await
        .unwrap();
    let list = described["Stacks"][0]["Outputs"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let entries = list.iter().map(|one| {
        (
            one["OutputKey"].as_str().unwrap().to_owned(),
            one["OutputValue"].clone(),
        )
    });
    entries.collect()
}

#[tokio::test]
async fn a_nested_stack_is_created_updated_rolled_back_and_deleted_with_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 82, Behavior::default()).await;
    assert!(endpoint.put("/nested", String::new()).await.is_success());
    assert!(endpoint.put("/nested/good.json", child("String")).await.is_success());
    assert!(endpoint.put("/nested/bad.json", child("Nothing")).await.is_success());
    let operate = async |operation: &str, template: &str| {
        let parameters = [
            ("Action", operation),
            ("StackName", "parent"),
            ("TemplateBody", template),
        ];
        endpoint.cloudformation(&parameters).await.unwrap();
        endpoint.stack_status("parent").await
    };
    assert_eq!(
        operate("CreateStack", &parent("good.json", "one")).await,
        "CREATE_COMPLETE"
    );
    let created = outputs(&endpoint, "parent").await;
    assert_eq!(created["Value"], "one!");
    let nested = created["Child"].as_str().unwrap();
    let described = endpoint
        .cloudformation(&[("Action", "DescribeStacks"), ("StackName", nested)])
        .await
        .unwrap();
    let parent_id = element(&described, "ParentId").unwrap().to_owned();
    assert!(parent_id.contains(":stack/parent/"), "{parent_id}");
    assert_eq!(element(&described, "RootId"), Some(parent_id.as_str()));

    assert_eq!(
        operate("UpdateStack", &parent("good.json", "two")).await,
        "UPDATE_COMPLETE"
    );
    assert_eq!(outputs(&endpoint, "parent").await["Value"], "two!");
    assert_eq!(
        operate("UpdateStack", &parent("bad.json", "three")).await,
        "UPDATE_ROLLBACK_COMPLETE"
    );
    assert_eq!(outputs(&endpoint, "parent").await["Value"], "two!");
    assert_eq!(outputs(&endpoint, nested).await["Out"], "two!");

    endpoint
        .cloudformation(&[("Action", "DeleteStack"), ("StackName", "parent")])
        .await
        .unwrap();
    assert_eq!(endpoint.stack_status("parent").await, "DELETED");
    assert_eq!(endpoint.stack_status(nested).await, "DELETE_COMPLETE");

    let failing = [
        ("Action", "CreateStack"),
        ("StackName", "failing"),
        ("TemplateBody", &parent("bad.json", "x")),
    ];
    endpoint.cloudformation(&failing).await.unwrap();
    assert_eq!(endpoint.stack_status("failing").await, "ROLLBACK_COMPLETE");
    let listed = endpoint
        .cx
        .call("cloudformation", "DescribeStacks", json!({}))
        .await
        .unwrap();
    assert_eq!(listed["Stacks"].as_array().unwrap().len(), 1, "{listed}");
}

#[tokio::test]
async fn a_change_set_of_the_cdk_includes_nested_stacks_and_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 109, Behavior::default()).await;
    assert!(endpoint.put("/nested", String::new()).await.is_success());
    for object in ["one.json", "two.json"] {
        let child = child("String").replace('!', if object == "one.json" { "!" } else { "?" });
        assert!(endpoint.put(&format!("/nested/{object}"), child).await.is_success());
    }
    for (kind, object, action, out) in [
        ("CREATE", "one.json", "Add", "v!"),
        ("UPDATE", "two.json", "Modify", "v?"),
    ] {
        let template = parent(object, "v");
        let create = [
            ("Action", "CreateChangeSet"),
            ("StackName", "cdk"),
            ("ChangeSetName", "cdk"),
            ("ChangeSetType", kind),
            ("ClientToken", kind),
            ("DeploymentConfig.Mode", "STANDARD"),
            ("ImportExistingResources", "true"),
            ("IncludeNestedStacks", "true"),
            ("TemplateBody", template.as_str()),
        ];
        let created = endpoint.cloudformation(&create).await.unwrap();
        let repeated = endpoint.cloudformation(&create).await.unwrap();
        let root = element(&created, "Id").unwrap();
        assert_eq!(element(&repeated, "Id"), Some(root));
        let mut other = create;
        other[4].1 = "other";
        assert!(endpoint.cloudformation(&other).await.is_err());

        let describe = |set: &str| {
            endpoint
                .cx
                .call("cloudformation", "DescribeChangeSet", json!({"ChangeSetName": set}))
        };
        let described = describe(root).await.unwrap();
        assert_eq!(
            (&described["IncludeNestedStacks"], &described["ImportExistingResources"]),
            (&json!(true), &json!(true))
        );
        let changes = described["Changes"].as_array().unwrap();
        let of_child = |change: &&Value| change["ResourceChange"]["LogicalResourceId"] == "Child";
        let nested = changes.iter().find(of_child).unwrap()["ResourceChange"]["ChangeSetId"]
            .as_str()
            .unwrap();
        let described = describe(nested).await.unwrap();
        assert_eq!(
            (&described["ParentChangeSetId"], &described["RootChangeSetId"]),
            (&json!(root), &json!(root))
        );
        assert_eq!(described["Parameters"][0]["ParameterValue"], "v");
        // The new output of the child changes none of its resources.
        let expected = if action == "Add" { json!("Add") } else { Value::Null };
        assert_eq!(
            described["Changes"][0]["ResourceChange"]["Action"], expected,
            "{described}"
        );
        let execute = |set: &str| {
            endpoint
                .cx
                .call("cloudformation", "ExecuteChangeSet", json!({"ChangeSetName": set}))
        };
        assert_eq!(execute(nested).await.unwrap_err().code, "ValidationError");
        execute(root).await.unwrap();
        assert_eq!(endpoint.stack_status("cdk").await, format!("{kind}_COMPLETE"));
        assert_eq!(outputs(&endpoint, "cdk").await["Value"], out);
    }
}
