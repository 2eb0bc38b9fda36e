//! Tests of the CloudFormation engine through its API, with resource types in memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use embedded_endpoint::cloudformation::{engine, stack};
use embedded_endpoint::store::Store;
use embedded_endpoint::{AwsError, Config, Context, service};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::test_resource::{Resources, TestService, resource};

pub struct TestEndpoint {
    pub cx: Context,
    resources: Resources,
    _folder: TempDir,
}

pub fn test_endpoint() -> TestEndpoint {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("state.redb"), &[]).unwrap();
    let state_dir = folder.path().to_owned();
    let config = Config {
        port: 0,
        state_dir,
        loopback_octet: 77,
        region: "us-east-1".into(),
        broker: None,
        behavior: embedded_endpoint::Behavior::default(),
    };
    let (cx, service) = (Context::new(config, store).unwrap(), TestService::default());
    let resources = service.0.clone();
    cx.register(vec![
        service::cloudformation::service(),
        service::ssm::service(),
        Arc::new(service),
    ]);
    TestEndpoint {
        cx,
        resources,
        _folder: folder,
    }
}

impl TestEndpoint {
    pub async fn call(&self, operation: &str, input: Value) -> Result<Value, AwsError> {
        self.cx.call("cloudformation", operation, input).await
    }

    pub async fn call_with_template(&self, operation: &str, name: &str, template: Value) -> Result<Value, AwsError> {
        self.call(
            operation,
            json!({"StackName": name, "TemplateBody": template.to_string()}),
        )
        .await
    }

    /// Waits until no operation runs on the stack, and returns its status; `DELETED` if no stack has the name.
    pub async fn status(&self, name: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let found = stack::find(&self.cx, name).unwrap();
            let status = found.map_or_else(|| "DELETED".to_owned(), |stack| stack.status);
            if !status.ends_with("_IN_PROGRESS") || Instant::now() > deadline {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn create(&self, name: &str, template: Value) -> String {
        self.call_with_template("CreateStack", name, template).await.unwrap();
        self.status(name).await
    }

    pub async fn update(&self, name: &str, template: Value) -> String {
        self.call_with_template("UpdateStack", name, template).await.unwrap();
        self.status(name).await
    }

    /// Returns the events as `LOGICALID STATUS`, oldest first.
    fn events(&self, name: &str) -> Vec<String> {
        let id = stack::find(&self.cx, name).unwrap().unwrap().id;
        let events = stack::events(&self.cx, &id).unwrap();
        events
            .into_iter()
            .map(|e| format!("{} {}", e.logical_resource_id, e.resource_status))
            .collect()
    }

    async fn wait_for_event(&self, name: &str, event: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.events(name).iter().any(|e| e == event) {
            assert!(Instant::now() < deadline, "no event {event}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn properties(&self, name: &str) -> Value {
        self.resources.lock().unwrap()[name].clone()
    }

    pub fn names(&self) -> Vec<String> {
        self.resources.lock().unwrap().keys().cloned().collect()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "callers write `json!` in place")]
pub fn template(resources: Value) -> Value {
    json!({"Resources": resources})
}

#[tokio::test]
async fn a_dependent_is_created_after_its_dependency_and_deleted_before_it() {
    let endpoint = test_endpoint();
    let template = template(
        json!({"B": resource("b", json!({"Value": {"Fn::Sub": "${A.Value}-x"}})), "A": resource("a", json!({"Value": "v"}))}),
    );
    assert_eq!(endpoint.create("s", template).await, "CREATE_COMPLETE");
    assert_eq!(endpoint.resources.lock().unwrap()["b"]["Value"], "v-x");
    let id = stack::find(&endpoint.cx, "s").unwrap().unwrap().id;
    endpoint.call("DeleteStack", json!({"StackName": "s"})).await.unwrap();
    assert_eq!(endpoint.status(&id).await, "DELETE_COMPLETE");
    assert_eq!(endpoint.status("s").await, "DELETED");
    let events = endpoint.events(&id);
    let position = |line: &str| events.iter().position(|event| event == line).unwrap();
    assert!(
        position("A CREATE_COMPLETE") < position("B CREATE_IN_PROGRESS"),
        "{events:?}"
    );
    assert!(
        position("B DELETE_COMPLETE") < position("A DELETE_IN_PROGRESS"),
        "{events:?}"
    );
    assert!(endpoint.names().is_empty());
}

#[tokio::test]
async fn a_failure_cancels_slow_resources_and_rolls_back() {
    let endpoint = test_endpoint();
    let template = template(
        json!({"Slow": resource("slow", json!({"Slow": true})), "Bad": resource("bad", json!({"Fail": "quota exceeded"})), "Good": resource("good", json!({}))}),
    );
    assert_eq!(endpoint.create("s", template).await, "ROLLBACK_COMPLETE");
    assert!(endpoint.names().is_empty());
    let events = endpoint
        .call("DescribeStackEvents", json!({"StackName": "s"}))
        .await
        .unwrap();
    let reasons = events.to_string();
    assert!(
        reasons.contains("quota exceeded") && reasons.contains("Resource creation cancelled"),
        "{reasons}"
    );
}

#[tokio::test]
async fn a_failed_update_restores_replaced_changed_and_removed_resources() {
    let endpoint = test_endpoint();
    let before = json!({"A": resource("a", json!({"Value": 1})), "B": resource("b", json!({"Value": {"Ref": "A"}})), "C": resource("c", json!({}))});
    endpoint.create("s", template(before)).await;
    let first = endpoint.resources.lock().unwrap().clone();
    let mut bad = resource("bad", json!({"Fail": "never"}));
    bad["DependsOn"] = json!("B");
    let after = json!({"A": resource("a2", json!({"Value": 2})), "B": resource("b", json!({"Value": {"Ref": "A"}})), "Bad": bad});
    assert_eq!(endpoint.update("s", template(after)).await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(*endpoint.resources.lock().unwrap(), first);
}

#[tokio::test]
async fn retain_policies_keep_deleted_and_replaced_resources() {
    let endpoint = test_endpoint();
    let mut retained = resource("retained", json!({}));
    retained["DeletionPolicy"] = json!("Retain");
    retained["UpdateReplacePolicy"] = json!("Retain");
    endpoint
        .create(
            "s",
            template(json!({"K": retained.clone(), "G": resource("deleted", json!({}))})),
        )
        .await;
    retained["Properties"]["Name"] = json!("retained2");
    assert_eq!(
        endpoint.update("s", template(json!({"K": retained}))).await,
        "UPDATE_COMPLETE"
    );
    endpoint.call("DeleteStack", json!({"StackName": "s"})).await.unwrap();
    assert_eq!(endpoint.status("s").await, "DELETED");
    assert_eq!(endpoint.names(), ["retained", "retained2"]);
}

#[tokio::test]
async fn snapshots_follow_the_policies_and_the_default_of_the_type() {
    let endpoint = test_endpoint();
    let with_snapshots = |name: &str, policies: &[&str]| {
        let mut declared = resource(name, json!({}));
        declared["Type"] = json!("Test::Service::WithSnapshots");
        for policy in policies {
            let (attribute, value) = policy.split_once('=').unwrap();
            declared[attribute] = json!(value);
        }
        declared
    };
    let templates = |old: &str| {
        template(json!({
            "Asked": with_snapshots("asked", &["DeletionPolicy=Snapshot"]), "Default": with_snapshots("default", &[]),
            "Not": with_snapshots("not", &["DeletionPolicy=Delete"]),
            "Old": with_snapshots(old, &["DeletionPolicy=Delete", "UpdateReplacePolicy=Snapshot"]),
        }))
    };
    endpoint.create("my--Stack", templates("old")).await;
    assert_eq!(endpoint.update("my--Stack", templates("new")).await, "UPDATE_COMPLETE");
    endpoint
        .call("DeleteStack", json!({"StackName": "my--Stack"}))
        .await
        .unwrap();
    assert_eq!(endpoint.status("my--Stack").await, "DELETED");
    let snapshots: Vec<String> = endpoint.names();
    let stems: Vec<&str> = snapshots.iter().map(|name| name.rsplit_once('-').unwrap().0).collect();
    assert_eq!(
        stems,
        [
            "asked as my-stack-snapshot-asked",
            "default as my-stack-snapshot-default",
            "old as my-stack-snapshot-old"
        ]
    );
    let mut unsupported = resource("unsupported", json!({}));
    unsupported["DeletionPolicy"] = json!("Snapshot");
    let error = endpoint
        .call_with_template("CreateStack", "t", template(json!({"Unsupported": unsupported})))
        .await
        .unwrap_err();
    assert_eq!(
        error.message,
        "Template error: resource type Test::Service::Resource does not support deletion policy Snapshot"
    );
}

#[tokio::test]
async fn a_failed_deletion_names_the_resource_and_retain_resources_completes_it() {
    let endpoint = test_endpoint();
    endpoint
        .create(
            "s",
            template(json!({"A": resource("a", json!({"FailDelete": true})), "B": resource("b", json!({}))})),
        )
        .await;
    endpoint.call("DeleteStack", json!({"StackName": "s"})).await.unwrap();
    assert_eq!(endpoint.status("s").await, "DELETE_FAILED");
    let reason = stack::find(&endpoint.cx, "s").unwrap().unwrap().reason.unwrap();
    assert!(reason.contains("[A]"), "{reason}");
    endpoint
        .call("DeleteStack", json!({"StackName": "s", "RetainResources": ["A"]}))
        .await
        .unwrap();
    assert_eq!(endpoint.status("s").await, "DELETED");
}

#[tokio::test]
async fn deleting_a_stack_stops_its_creation() {
    let endpoint = test_endpoint();
    let template = template(json!({"A": resource("a", json!({})), "Slow": resource("slow", json!({"Slow": true}))}));
    endpoint.call_with_template("CreateStack", "s", template).await.unwrap();
    endpoint.wait_for_event("s", "Slow CREATE_IN_PROGRESS").await;
    endpoint.call("DeleteStack", json!({"StackName": "s"})).await.unwrap();
    assert_eq!(endpoint.status("s").await, "DELETED");
    assert!(endpoint.names().is_empty());
}

#[tokio::test]
async fn a_cancelled_update_is_rolled_back() {
    let endpoint = test_endpoint();
    endpoint
        .create("s", template(json!({"A": resource("a", json!({"Value": 1}))})))
        .await;
    let after = template(json!({"A": resource("a", json!({"Value": 2, "Slow": true}))}));
    endpoint.call_with_template("UpdateStack", "s", after).await.unwrap();
    endpoint.wait_for_event("s", "A UPDATE_IN_PROGRESS").await;
    endpoint
        .call("CancelUpdateStack", json!({"StackName": "s"}))
        .await
        .unwrap();
    assert_eq!(endpoint.status("s").await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(endpoint.resources.lock().unwrap()["a"]["Value"], 1);
}

#[tokio::test]
async fn a_creation_that_a_crash_interrupted_is_rolled_back_on_start() {
    let endpoint = test_endpoint();
    endpoint
        .create("s", template(json!({"A": resource("a", json!({}))})))
        .await;
    let id = stack::find(&endpoint.cx, "s").unwrap().unwrap().id;
    stack::edit(&endpoint.cx, &id, |stack| {
        stack.status = "CREATE_IN_PROGRESS".to_owned();
    })
    .unwrap();
    engine::recover(&endpoint.cx).unwrap();
    assert_eq!(endpoint.status("s").await, "ROLLBACK_COMPLETE");
    assert!(endpoint.names().is_empty());
    let events = stack::events(&endpoint.cx, &id).unwrap();
    assert!(events.iter().any(|e| {
        e.resource_status_reason
            .as_deref()
            .unwrap_or_default()
            .contains("endpoint was stopped")
    }));
}

#[tokio::test]
async fn a_failed_rollback_can_be_continued_without_the_failing_resource() {
    let endpoint = test_endpoint();
    endpoint
        .create("s", template(json!({"A": resource("a", json!({"Value": 1}))})))
        .await;
    let id = stack::find(&endpoint.cx, "s").unwrap().unwrap().id;
    // The resource fails to return to this state.
    stack::edit(&endpoint.cx, &id, |stack| {
        let resource = stack.resources.get_mut("A").unwrap();
        resource.properties.insert("Fail".into(), "cannot be restored".into());
    })
    .unwrap();
    let mut bad = resource("bad", json!({"Fail": "never"}));
    bad["DependsOn"] = json!("A");
    let after = template(json!({"A": resource("a", json!({"Value": 2})), "Bad": bad}));
    assert_eq!(endpoint.update("s", after).await, "UPDATE_ROLLBACK_FAILED");
    endpoint
        .call(
            "ContinueUpdateRollback",
            json!({"StackName": "s", "ResourcesToSkip": ["A"]}),
        )
        .await
        .unwrap();
    assert_eq!(endpoint.status("s").await, "UPDATE_ROLLBACK_COMPLETE");
}

#[tokio::test]
async fn a_change_set_shows_property_values_and_replacement() {
    let endpoint = test_endpoint();
    let before =
        template(json!({"A": resource("a", json!({"Value": 1})), "B": resource("b", json!({"Value": {"Ref": "A"}}))}));
    endpoint.create("s", before).await;
    let after =
        template(json!({"A": resource("a2", json!({"Value": 1})), "B": resource("b", json!({"Value": {"Ref": "A"}}))}));
    let named = json!({"StackName": "s", "ChangeSetName": "c", "TemplateBody": after.to_string()});
    endpoint.call("CreateChangeSet", named).await.unwrap();
    let asked = json!({"StackName": "s", "ChangeSetName": "c", "IncludePropertyValues": "true"});
    let set = endpoint.call("DescribeChangeSet", asked).await.unwrap();
    let change = |i: usize| set["Changes"][i]["ResourceChange"].clone();
    assert_eq!(
        (change(0)["Replacement"].as_str(), change(1)["Replacement"].as_str()),
        (Some("True"), Some("False"))
    );
    let target = change(0)["Details"][0]["Target"].clone();
    assert_eq!(
        (target["BeforeValue"].as_str(), target["AfterValue"].as_str()),
        (Some("a"), Some("a2"))
    );
    assert_eq!(change(1)["Details"][0]["Evaluation"], "Dynamic");
    assert_eq!(change(1)["Details"][0]["ChangeSource"], "ResourceReference");
}

#[tokio::test]
async fn a_dynamic_reference_is_resolved_for_the_resource_only() {
    let endpoint = test_endpoint();
    let parameter = json!({"Name": "/secret", "Type": "SecureString", "Value": "tops3cretvalue"});
    endpoint.cx.call("ssm", "PutParameter", parameter).await.unwrap();
    let mut template = template(json!({"A": resource("a", json!({"Value": "{{resolve:ssm-secure:/secret}}"}))}));
    template["Outputs"] = json!({"O": {"Value": {"Ref": "A"}}});
    assert_eq!(endpoint.create("s", template).await, "CREATE_COMPLETE");
    assert_eq!(endpoint.resources.lock().unwrap()["a"]["Value"], "tops3cretvalue");
    let mut stack = stack::find(&endpoint.cx, "s").unwrap().unwrap();
    // The attributes come from the resource type, not from the template.
    stack.resources["A"].attributes.clear();
    let stored = serde_json::to_string(&stack).unwrap()
        + &serde_json::to_string(&stack::events(&endpoint.cx, &stack.id).unwrap()).unwrap();
    assert!(!stored.contains("tops3cretvalue"), "{stored}");
}

#[tokio::test]
async fn drift_shows_the_properties_that_differ_from_the_template() {
    let endpoint = test_endpoint();
    endpoint
        .create("s", template(json!({"A": resource("a", json!({"Value": 1}))})))
        .await;
    endpoint
        .resources
        .lock()
        .unwrap()
        .insert("a".into(), json!({"Name": "a", "Value": 5, "Slow": false}));
    let asked = json!({"StackName": "s", "LogicalResourceId": "A"});
    let drift = endpoint.call("DetectStackResourceDrift", asked).await.unwrap()["StackResourceDrift"].clone();
    assert_eq!(drift["StackResourceDriftStatus"], "MODIFIED");
    let expected =
        json!([{"PropertyPath": "/Value", "ExpectedValue": "1", "ActualValue": "5", "DifferenceType": "NOT_EQUAL"}]);
    assert_eq!(drift["PropertyDifferences"], expected);
}

#[tokio::test]
async fn invalid_templates_are_rejected_with_the_name_of_the_problem() {
    let endpoint = test_endpoint();
    for (template, problem) in [
        (template(json!({"A": {"Type": "AWS::Nope::Thing"}})), "AWS::Nope::Thing"),
        (
            template(json!({"A": resource("a", json!({"Value": {"Ref": "Undefined"}}))})),
            "Undefined",
        ),
        (
            template(json!({"A": resource("a", json!({"Value": {"Fn::GetAtt": ["A2", "Value"]}}))})),
            "A2",
        ),
        (
            template(
                json!({"A": resource("a", json!({"Value": {"Ref": "B"}})), "B": resource("b", json!({"Value": {"Ref": "A"}}))}),
            ),
            "[A, B]",
        ),
        (
            json!({"Transform": "AWS::Serverless-2016-10-31", "Resources": {}}),
            "AWS::Serverless-2016-10-31",
        ),
        (json!({"Resources": {}}), "At least one Resources member"),
    ] {
        let error = endpoint
            .call_with_template("CreateStack", "s", template)
            .await
            .unwrap_err();
        assert_eq!(error.code, "ValidationError");
        assert!(error.message.contains(problem), "{}", error.message);
    }
    assert_eq!(endpoint.status("s").await, "DELETED");
}
