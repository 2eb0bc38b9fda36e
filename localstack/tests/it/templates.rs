//! Tests of how templates and change sets are read and shown, through the CloudFormation API.

use serde_json::{Value, json};

use crate::engine::{TestEndpoint, template, test_endpoint};
use crate::test_resource::resource;

/// Returns a template with the parameter `Env` and the condition `Prod`.
fn with_environment(resources: Value) -> Value {
    let mut template = template(resources);
    template["Parameters"] = json!({"Env": {"Type": "String", "Default": "prod"}});
    template["Conditions"] = json!({"Prod": {"Fn::Equals": [{"Ref": "Env"}, "prod"]}});
    template["Mappings"] = json!({"Policy": {"prod": {"Deletion": "Retain"}, "dev": {"Deletion": "Delete"}}});
    template
}

impl TestEndpoint {
    async fn create_with(&self, name: &str, template: &Value, environment: &str) -> String {
        let parameters = json!([{"ParameterKey": "Env", "ParameterValue": environment}]);
        let input = json!({"StackName": name, "TemplateBody": template.to_string(), "Parameters": parameters});
        self.call("CreateStack", input).await.unwrap();
        self.status(name).await
    }

    async fn change_set(&self, kind: &str, name: &str, template: &Value) -> Value {
        let input = json!({"StackName": "s", "ChangeSetName": name, "ChangeSetType": kind, "TemplateBody": template.to_string()});
        let id = self.call("CreateChangeSet", input).await.unwrap()["Id"].clone();
        self.describe(&id).await
    }

    async fn describe(&self, id: &Value) -> Value {
        let input = json!({"ChangeSetName": id, "IncludePropertyValues": "true"});
        self.call("DescribeChangeSet", input).await.unwrap()
    }

    async fn execute(&self, set: &Value) -> String {
        let input = json!({"ChangeSetName": set["ChangeSetId"]});
        self.call("ExecuteChangeSet", input).await.unwrap();
        self.status("s").await
    }

    async fn refusal(&self, template: &Value) -> String {
        let input = json!({"StackName": "refused", "ChangeSetName": "c", "ChangeSetType": "CREATE", "TemplateBody": template.to_string()});
        let error = self.call("CreateChangeSet", input).await.unwrap_err();
        assert_eq!(error.code, "ValidationError", "{}", error.message);
        error.message
    }
}

#[tokio::test]
async fn policies_that_are_functions_decide_what_is_kept() {
    let endpoint = test_endpoint();
    let mut expected = Vec::new();
    for (i, policy) in [
        json!({"Fn::If": ["Prod", "Retain", "Delete"]}),
        json!({"Fn::If": ["Prod", {"Fn::If": ["Prod", "Retain", {"Ref": "AWS::NoValue"}]}, {"Ref": "AWS::NoValue"}]}),
        json!({"Fn::FindInMap": ["Policy", {"Ref": "Env"}, "Deletion"]}),
    ]
    .into_iter()
    .enumerate()
    {
        for environment in ["prod", "dev"] {
            let name = format!("{environment}{i}");
            let mut declared = resource(&name, json!({}));
            declared["DeletionPolicy"] = policy.clone();
            declared["UpdateReplacePolicy"] = policy.clone();
            let mut template = with_environment(json!({"R": declared}));
            assert_eq!(
                endpoint.create_with(&name, &template, environment).await,
                "CREATE_COMPLETE"
            );
            template["Resources"]["R"]["Properties"]["Name"] = format!("{name}-new").into();
            let parameters = json!([{"ParameterKey": "Env", "UsePreviousValue": "true"}]);
            let update = json!({"StackName": name, "TemplateBody": template.to_string(), "Parameters": parameters});
            endpoint.call("UpdateStack", update).await.unwrap();
            assert_eq!(endpoint.status(&name).await, "UPDATE_COMPLETE");
            endpoint.call("DeleteStack", json!({"StackName": name})).await.unwrap();
            assert_eq!(endpoint.status(&name).await, "DELETED");
        }
        expected.extend([format!("prod{i}"), format!("prod{i}-new")]);
    }
    assert_eq!(endpoint.names(), expected);
}

#[tokio::test]
async fn attributes_of_another_form_are_refused() {
    let endpoint = test_endpoint();
    for (attribute, value) in [
        ("DeletionPolicy", json!({"Ref": "R"})),
        ("DeletionPolicy", json!({"Fn::Sub": "Retain"})),
        ("DeletionPolicy", json!("Keep")),
        ("DeletionPolicy", json!(["Retain"])),
        ("DeletionPolicy", json!({"Fn::If": ["Prod", "Keep", "Delete"]})),
        ("DeletionPolicy", json!({"Fn::If": ["Prod", "Snapshot", "Delete"]})),
        ("DeletionPolicy", json!({"Fn::If": ["Gone", "Retain", "Delete"]})),
        ("UpdateReplacePolicy", json!("RetainExceptOnCreate")),
        ("UpdateReplacePolicy", json!(true)),
        ("Condition", json!({"Ref": "Prod"})),
        ("Condition", json!(["Prod"])),
        ("DependsOn", json!({"Ref": "R"})),
        ("Metadata", json!("text")),
        ("CreationPolicy", json!({})),
        ("UpdatePolicy", json!({})),
    ] {
        let mut declared = resource("a", json!({}));
        declared[attribute] = value.clone();
        endpoint.refusal(&with_environment(json!({"R": declared}))).await;
    }
    assert!(endpoint.names().is_empty());
}

#[tokio::test]
async fn a_rule_that_does_not_hold_refuses_the_request() {
    let endpoint = test_endpoint();
    let parameter = json!({"Name": "/version", "Type": "String", "Value": "21"});
    endpoint.cx.call("ssm", "PutParameter", parameter).await.unwrap();
    let too_old = |versions: Value| {
        let mut template = template(
            json!({"R": resource("r", json!({})), "M": {"Type": "AWS::CDK::Metadata", "Properties": {"Analytics": "v2"}}}),
        );
        template["Parameters"] =
            json!({"Version": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/version"}});
        let assert = json!({"Fn::Not": [{"Fn::Contains": [versions, {"Ref": "Version"}]}]});
        template["Rules"] =
            json!({"CheckVersion": {"Assertions": [{"Assert": assert, "AssertDescription": "too old"}]}});
        template
    };
    assert!(
        endpoint
            .refusal(&too_old(json!(["20", "21"])))
            .await
            .contains("too old")
    );
    assert_eq!(
        endpoint.create("s", too_old(json!(["1", "2"]))).await,
        "CREATE_COMPLETE"
    );
}

#[tokio::test]
async fn an_executed_change_set_leaves_the_list_and_its_name_is_free() {
    let endpoint = test_endpoint();
    let value = |value: &str| {
        template(
            json!({"A": resource("a", json!({"Value": value})), "B": resource("b", json!({"Value": {"Fn::GetAtt": ["A", "Name"]}}))}),
        )
    };
    let first = endpoint.change_set("CREATE", "deploy", &value("1")).await;
    let other = endpoint.change_set("CREATE", "other", &value("2")).await;
    assert_eq!(endpoint.execute(&first).await, "CREATE_COMPLETE");
    let list = json!({"StackName": "s"});
    assert_eq!(
        endpoint.call("ListChangeSets", list).await.unwrap()["Summaries"],
        json!([])
    );
    assert_eq!(
        endpoint.describe(&first["ChangeSetId"]).await["ExecutionStatus"],
        "EXECUTE_COMPLETE"
    );
    assert_eq!(
        endpoint.describe(&other["ChangeSetId"]).await["ExecutionStatus"],
        "OBSOLETE"
    );
    let removal = template(json!({"A": resource("a", json!({"Value": "1"}))}));
    let second = endpoint.change_set("UPDATE", "deploy", &removal).await;
    let change = &second["Changes"][0]["ResourceChange"];
    assert_eq!(change["Action"], "Remove");
    assert!(
        change["BeforeContext"].as_str().unwrap().contains("\"Value\":\"a\""),
        "{change}"
    );
    assert_eq!(endpoint.execute(&second).await, "UPDATE_COMPLETE");
    endpoint.call("DeleteStack", json!({"StackName": "s"})).await.unwrap();
    assert_eq!(endpoint.status("s").await, "DELETED");
    assert_eq!(
        endpoint.describe(&first["ChangeSetId"]).await["Status"],
        "CREATE_COMPLETE"
    );
}

#[tokio::test]
async fn a_new_stack_may_be_empty_and_its_answers_leave_out_what_it_has_not() {
    let endpoint = test_endpoint();
    let mut declared = resource("a", json!({}));
    declared["Condition"] = json!("Never");
    let mut template = template(json!({"A": declared}));
    template["Conditions"] = json!({"Never": {"Fn::Equals": ["a", "b"]}});
    let set = endpoint.change_set("CREATE", "first", &template).await;
    assert_eq!(set["Status"], "CREATE_COMPLETE");
    assert_eq!(
        (&set["Parameters"], &set["Tags"], &set["Capabilities"]),
        (&Value::Null, &Value::Null, &json!([]))
    );
    assert_eq!(endpoint.execute(&set).await, "CREATE_COMPLETE");
    let stacks = endpoint
        .call("DescribeStacks", json!({"StackName": "s"}))
        .await
        .unwrap();
    let stack = &stacks["Stacks"][0];
    for absent in ["Parameters", "Outputs", "Capabilities"] {
        assert_eq!(stack[absent], Value::Null, "{absent}");
    }
    assert!(
        stack["LastUpdatedTime"].is_string() && stack["RollbackConfiguration"].is_object() && stack["Tags"].is_array()
    );
    let summary = endpoint
        .call("GetTemplateSummary", json!({"StackName": "s"}))
        .await
        .unwrap();
    assert_eq!(summary["Capabilities"], Value::Null);
    let identifiers = json!([{"ResourceType": "Test::Service::Resource", "LogicalResourceIds": ["A"]}]);
    assert_eq!(summary["ResourceIdentifierSummaries"], identifiers);
    let refused = endpoint.call("CreateStack", json!({"StackName": "t", "TemplateBody": template.to_string(), "RollbackConfiguration": {"MonitoringTimeInMinutes": "5"}}));
    assert_eq!(refused.await.unwrap_err().code, "ValidationError");
}

#[tokio::test]
async fn what_has_no_value_is_refused_at_the_request() {
    let endpoint = test_endpoint();
    let mut conditional = resource("a", json!({}));
    conditional["Condition"] = json!("Prod");
    let value = |value: Value| {
        with_environment(json!({"A": resource("a", json!({})), "B": resource("b", json!({"Value": value}))}))
    };
    for function in [
        json!({"Fn::FindInMap": ["Policy", "test", "Deletion"]}),
        json!({"Fn::Select": [5, {"Fn::Split": [",", {"Ref": "Env"}]}]}),
        json!({"Fn::GetAtt": ["A", "FailDelete2"]}),
        json!({"Fn::GetAtt": ["A"]}),
        json!({"Fn::GetAZs": "nowhere"}),
        json!({"Fn::If": ["Gone", 1, 2]}),
    ] {
        endpoint.refusal(&value(function)).await;
    }
    let unresolved = |block: &str| format!("Unresolved resource dependencies [A] in the {block} block of the template");
    let mut template = with_environment(json!({"A": conditional, "B": resource("b", json!({}))}));
    template["Parameters"]["Env"]["Default"] = json!("dev");
    template["Outputs"] = json!({"O": {"Value": {"Ref": "A"}}});
    assert!(endpoint.refusal(&template).await.contains(&unresolved("Outputs")));
    template["Outputs"] = json!({"O": {"Value": {"Fn::If": ["Prod", {"Ref": "A"}, "none"]}}});
    template["Resources"]["B"]["Properties"]["Value"] = json!({"Fn::GetAtt": ["A", "Value"]});
    assert!(endpoint.refusal(&template).await.contains(&unresolved("Resources")));
}

#[tokio::test]
async fn attributes_may_be_properties_or_named_by_a_parameter() {
    let endpoint = test_endpoint();
    let mut template = with_environment(json!({
        "A": resource("a", json!({"Value": {"Ref": "Env"}})),
        "B": resource("b", json!({"Value": {"Fn::GetAtt": ["A", {"Ref": "Which"}]}})),
        "C": resource("c", json!({"Value": {"Ref": "None"}})),
    }));
    template["Parameters"]["Which"] = json!({"Type": "String", "Default": "Name"});
    template["Parameters"]["None"] = json!({"Type": "String", "Default": "AWS::NoValue"});
    template["Outputs"] = json!({"Name": {"Value": {"Fn::GetAtt": ["B", "Value"]}}});
    assert_eq!(endpoint.create("s", template).await, "CREATE_COMPLETE");
    let stacks = endpoint
        .call("DescribeStacks", json!({"StackName": "s"}))
        .await
        .unwrap();
    assert_eq!(stacks["Stacks"][0]["Outputs"][0]["OutputValue"], "a");
    assert_eq!(endpoint.properties("c"), json!({"Name": "c"}));
}

#[tokio::test]
async fn operations_on_missing_stacks_have_their_own_errors() {
    let endpoint = test_endpoint();
    let named = json!({"StackName": "gone", "ChangeSetName": "c", "LogicalResourceId": "R", "TemplateBody": "{}"});
    for (operation, message) in [
        ("DescribeStacks", "Stack with id gone does not exist"),
        ("GetTemplateSummary", "Stack with id gone does not exist"),
        ("DescribeStackResource", "Stack 'gone' does not exist"),
        ("DescribeChangeSet", "Stack [gone] does not exist"),
        ("DeleteChangeSet", "Stack [gone] does not exist"),
        ("UpdateStack", "Stack [gone] does not exist"),
    ] {
        let error = endpoint.call(operation, named.clone()).await.unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.message.as_str()),
            ("ValidationError", message),
            "{operation}"
        );
    }
}
