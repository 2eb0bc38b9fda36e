//! The CloudFormation engine, driven through its API with a resource type of the test's own.

mod thing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use embedded_endpoint::cloudformation::{engine, stack};
use embedded_endpoint::store::Store;
use embedded_endpoint::{AwsError, Config, Context, service};
use serde_json::{Value, json};
use tempfile::TempDir;

use thing::{Shop, Things, thing};

struct Bench {
    cx: Context,
    things: Things,
    _folder: TempDir,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("state.redb")).unwrap();
    let state_dir = folder.path().to_owned();
    let config = Config {
        port: 0,
        state_dir,
        loopback_octet: 77,
        region: "us-east-1".into(),
        broker: None,
    };
    let (cx, shop) = (Context::new(config, store), Shop::default());
    let things = shop.0.clone();
    cx.register(vec![
        service::cloudformation::service(),
        service::ssm::service(),
        Arc::new(shop),
    ]);
    Bench {
        cx,
        things,
        _folder: folder,
    }
}

impl Bench {
    async fn call(&self, operation: &str, input: Value) -> Result<Value, AwsError> {
        self.cx.call("cloudformation", operation, input).await
    }

    async fn with_body(&self, operation: &str, name: &str, body: Value) -> Result<Value, AwsError> {
        self.call(operation, json!({"StackName": name, "TemplateBody": body.to_string()}))
            .await
    }

    /// Waits until the stack rests, and gives its status.
    async fn rest(&self, name: &str) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let found = stack::find(&self.cx, name).unwrap();
            let status = found.map_or_else(|| "GONE".to_owned(), |s| s.status);
            if !status.ends_with("_IN_PROGRESS") || Instant::now() > end {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn create(&self, name: &str, body: Value) -> String {
        self.with_body("CreateStack", name, body).await.unwrap();
        self.rest(name).await
    }

    async fn update(&self, name: &str, body: Value) -> String {
        self.with_body("UpdateStack", name, body).await.unwrap();
        self.rest(name).await
    }

    /// Events as `LOGICAL STATUS`, oldest first.
    fn story(&self, name: &str) -> Vec<String> {
        let id = stack::find(&self.cx, name).unwrap().unwrap().id;
        let events = stack::events(&self.cx, &id).unwrap();
        events
            .into_iter()
            .map(|e| format!("{} {}", e.logical_resource_id, e.resource_status))
            .collect()
    }

    fn names(&self) -> Vec<String> {
        self.things.lock().unwrap().keys().cloned().collect()
    }
}

fn body(resources: Value) -> Value {
    json!({"Resources": resources})
}

#[tokio::test]
async fn a_user_is_made_after_what_it_uses_and_goes_before_it() {
    let bench = bench();
    let body = body(
        json!({"B": thing("b", json!({"Value": {"Fn::Sub": "${A.Value}-x"}})), "A": thing("a", json!({"Value": "v"}))}),
    );
    assert_eq!(bench.create("s", body).await, "CREATE_COMPLETE");
    assert_eq!(bench.things.lock().unwrap()["b"]["Value"], "v-x");
    let id = stack::find(&bench.cx, "s").unwrap().unwrap().id;
    bench.call("DeleteStack", json!({"StackName": "s"})).await.unwrap();
    assert_eq!(bench.rest(&id).await, "DELETE_COMPLETE");
    assert_eq!(bench.rest("s").await, "GONE");
    let story = bench.story(&id);
    let place = |line: &str| story.iter().position(|l| l == line).unwrap();
    assert!(place("A CREATE_COMPLETE") < place("B CREATE_IN_PROGRESS"), "{story:?}");
    assert!(place("B DELETE_COMPLETE") < place("A DELETE_IN_PROGRESS"), "{story:?}");
    assert!(bench.names().is_empty());
}

#[tokio::test]
async fn a_failure_stops_slow_neighbours_and_rolls_back() {
    let bench = bench();
    let body = body(
        json!({"Slow": thing("slow", json!({"Slow": true})), "Bad": thing("bad", json!({"Refuse": "no such shelf"})), "Good": thing("good", json!({}))}),
    );
    let begun = Instant::now();
    assert_eq!(bench.create("s", body).await, "ROLLBACK_COMPLETE");
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(bench.names().is_empty());
    let events = bench
        .call("DescribeStackEvents", json!({"StackName": "s"}))
        .await
        .unwrap();
    let reasons = events.to_string();
    assert!(
        reasons.contains("no such shelf") && reasons.contains("Resource creation cancelled"),
        "{reasons}"
    );
}

#[tokio::test]
async fn a_failed_update_restores_replaced_changed_and_removed_resources() {
    let bench = bench();
    let before = json!({"A": thing("a", json!({"Value": 1})), "B": thing("b", json!({"Value": {"Ref": "A"}})), "C": thing("c", json!({}))});
    bench.create("s", body(before)).await;
    let first = bench.things.lock().unwrap().clone();
    let mut bad = thing("bad", json!({"Refuse": "never"}));
    bad["DependsOn"] = json!("B");
    let after =
        json!({"A": thing("a2", json!({"Value": 2})), "B": thing("b", json!({"Value": {"Ref": "A"}})), "Bad": bad});
    assert_eq!(bench.update("s", body(after)).await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(*bench.things.lock().unwrap(), first);
}

#[tokio::test]
async fn policies_keep_what_they_say() {
    let bench = bench();
    let mut kept = thing("kept", json!({}));
    kept["DeletionPolicy"] = json!("Retain");
    kept["UpdateReplacePolicy"] = json!("Retain");
    bench
        .create("s", body(json!({"K": kept.clone(), "G": thing("gone", json!({}))})))
        .await;
    kept["Properties"]["Name"] = json!("kept2");
    assert_eq!(bench.update("s", body(json!({"K": kept}))).await, "UPDATE_COMPLETE");
    bench.call("DeleteStack", json!({"StackName": "s"})).await.unwrap();
    assert_eq!(bench.rest("s").await, "GONE");
    assert_eq!(bench.names(), ["kept", "kept2"]);
}

#[tokio::test]
async fn snapshots_are_kept_of_what_goes_where_the_policies_or_the_types_default_say_so() {
    let bench = bench();
    let chest = |name: &str, policies: &[&str]| {
        let mut chest = thing(name, json!({}));
        chest["Type"] = json!("Test::Shop::Chest");
        for policy in policies {
            let (attribute, value) = policy.split_once('=').unwrap();
            chest[attribute] = json!(value);
        }
        chest
    };
    let whole = |old: &str| {
        body(json!({
            "Asked": chest("asked", &["DeletionPolicy=Snapshot"]), "Default": chest("default", &[]),
            "Not": chest("not", &["DeletionPolicy=Delete"]),
            "Old": chest(old, &["DeletionPolicy=Delete", "UpdateReplacePolicy=Snapshot"]),
        }))
    };
    bench.create("my--Stack", whole("old")).await;
    assert_eq!(bench.update("my--Stack", whole("new")).await, "UPDATE_COMPLETE");
    bench
        .call("DeleteStack", json!({"StackName": "my--Stack"}))
        .await
        .unwrap();
    assert_eq!(bench.rest("my--Stack").await, "GONE");
    let kept: Vec<String> = bench.names();
    let stems: Vec<&str> = kept.iter().map(|name| name.rsplit_once('-').unwrap().0).collect();
    assert_eq!(
        stems,
        [
            "asked as my-stack-snapshot-asked",
            "default as my-stack-snapshot-default",
            "old as my-stack-snapshot-old"
        ]
    );
    let mut odd = thing("odd", json!({}));
    odd["DeletionPolicy"] = json!("Snapshot");
    let error = bench
        .with_body("CreateStack", "t", body(json!({"Odd": odd})))
        .await
        .unwrap_err();
    assert!(
        error
            .message
            .contains("Test::Shop::Thing does not support deletion policy Snapshot"),
        "{error}"
    );
}

#[tokio::test]
async fn a_stack_that_cannot_be_deleted_says_which_resource_and_lets_it_be_retained() {
    let bench = bench();
    bench
        .create(
            "s",
            body(json!({"A": thing("a", json!({"RefuseDelete": true})), "B": thing("b", json!({}))})),
        )
        .await;
    bench.call("DeleteStack", json!({"StackName": "s"})).await.unwrap();
    assert_eq!(bench.rest("s").await, "DELETE_FAILED");
    let reason = stack::find(&bench.cx, "s").unwrap().unwrap().reason.unwrap();
    assert!(reason.contains("[A]"), "{reason}");
    bench
        .call("DeleteStack", json!({"StackName": "s", "RetainResources": ["A"]}))
        .await
        .unwrap();
    assert_eq!(bench.rest("s").await, "GONE");
}

#[tokio::test]
async fn deleting_a_stack_that_is_being_made_ends_its_creation() {
    let bench = bench();
    let body = body(json!({"A": thing("a", json!({})), "Slow": thing("slow", json!({"Slow": true}))}));
    bench.with_body("CreateStack", "s", body).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    bench.call("DeleteStack", json!({"StackName": "s"})).await.unwrap();
    assert_eq!(bench.rest("s").await, "GONE");
    assert!(bench.names().is_empty());
}

#[tokio::test]
async fn a_cancelled_update_goes_back() {
    let bench = bench();
    bench
        .create("s", body(json!({"A": thing("a", json!({"Value": 1}))})))
        .await;
    let after = body(json!({"A": thing("a", json!({"Value": 2, "Slow": true}))}));
    bench.with_body("UpdateStack", "s", after).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    bench
        .call("CancelUpdateStack", json!({"StackName": "s"}))
        .await
        .unwrap();
    assert_eq!(bench.rest("s").await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(bench.things.lock().unwrap()["a"]["Value"], 1);
}

#[tokio::test]
async fn a_creation_that_a_crash_cut_short_is_rolled_back_on_start() {
    let bench = bench();
    bench.create("s", body(json!({"A": thing("a", json!({}))}))).await;
    let id = stack::find(&bench.cx, "s").unwrap().unwrap().id;
    stack::edit(&bench.cx, &id, |stack| stack.status = "CREATE_IN_PROGRESS".to_owned()).unwrap();
    engine::recover(&bench.cx).unwrap();
    assert_eq!(bench.rest("s").await, "ROLLBACK_COMPLETE");
    assert!(bench.names().is_empty());
    let events = stack::events(&bench.cx, &id).unwrap();
    assert!(events.iter().any(|e| {
        e.resource_status_reason
            .as_deref()
            .unwrap_or_default()
            .contains("endpoint was stopped")
    }));
}

#[tokio::test]
async fn a_failed_rollback_can_be_continued_without_the_resource_that_refuses() {
    let bench = bench();
    bench
        .create("s", body(json!({"A": thing("a", json!({"Value": 1}))})))
        .await;
    let id = stack::find(&bench.cx, "s").unwrap().unwrap().id;
    // What was there before now refuses to be restored.
    stack::edit(&bench.cx, &id, |stack| {
        let member = stack.members.get_mut("A").unwrap();
        member.properties.insert("Refuse".into(), "not any more".into());
    })
    .unwrap();
    let mut bad = thing("bad", json!({"Refuse": "never"}));
    bad["DependsOn"] = json!("A");
    let after = body(json!({"A": thing("a", json!({"Value": 2})), "Bad": bad}));
    assert_eq!(bench.update("s", after).await, "UPDATE_ROLLBACK_FAILED");
    bench
        .call(
            "ContinueUpdateRollback",
            json!({"StackName": "s", "ResourcesToSkip": ["A"]}),
        )
        .await
        .unwrap();
    assert_eq!(bench.rest("s").await, "UPDATE_ROLLBACK_COMPLETE");
}

#[tokio::test]
async fn a_change_set_names_property_values_and_replacement() {
    let bench = bench();
    let before = body(json!({"A": thing("a", json!({"Value": 1})), "B": thing("b", json!({"Value": {"Ref": "A"}}))}));
    bench.create("s", before).await;
    let after = body(json!({"A": thing("a2", json!({"Value": 1})), "B": thing("b", json!({"Value": {"Ref": "A"}}))}));
    let named = json!({"StackName": "s", "ChangeSetName": "c", "TemplateBody": after.to_string()});
    bench.call("CreateChangeSet", named).await.unwrap();
    let asked = json!({"StackName": "s", "ChangeSetName": "c", "IncludePropertyValues": "true"});
    let set = bench.call("DescribeChangeSet", asked).await.unwrap();
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
async fn a_dynamic_reference_is_resolved_for_the_resource_alone() {
    let bench = bench();
    let parameter = json!({"Name": "/secret", "Type": "SecureString", "Value": "tops3cretvalue"});
    bench.cx.call("ssm", "PutParameter", parameter).await.unwrap();
    let mut body = body(json!({"A": thing("a", json!({"Value": "{{resolve:ssm-secure:/secret}}"}))}));
    body["Outputs"] = json!({"O": {"Value": {"Ref": "A"}}});
    assert_eq!(bench.create("s", body).await, "CREATE_COMPLETE");
    assert_eq!(bench.things.lock().unwrap()["a"]["Value"], "tops3cretvalue");
    let mut stack = stack::find(&bench.cx, "s").unwrap().unwrap();
    // Attributes are what the type gives back, not what the template says.
    stack.members["A"].attributes.clear();
    let kept = serde_json::to_string(&stack).unwrap()
        + &serde_json::to_string(&stack::events(&bench.cx, &stack.id).unwrap()).unwrap();
    assert!(!kept.contains("tops3cretvalue"), "{kept}");
}

#[tokio::test]
async fn drift_is_what_the_template_says_and_the_thing_is_not() {
    let bench = bench();
    bench
        .create("s", body(json!({"A": thing("a", json!({"Value": 1}))})))
        .await;
    bench
        .things
        .lock()
        .unwrap()
        .insert("a".into(), json!({"Name": "a", "Value": 5, "Slow": false}));
    let asked = json!({"StackName": "s", "LogicalResourceId": "A"});
    let drift = bench.call("DetectStackResourceDrift", asked).await.unwrap()["StackResourceDrift"].clone();
    assert_eq!(drift["StackResourceDriftStatus"], "MODIFIED");
    let wanted =
        json!([{"PropertyPath": "/Value", "ExpectedValue": "1", "ActualValue": "5", "DifferenceType": "NOT_EQUAL"}]);
    assert_eq!(drift["PropertyDifferences"], wanted);
}

#[tokio::test]
async fn templates_that_cannot_be_are_refused_by_name() {
    let bench = bench();
    for (template, word) in [
        (body(json!({"A": {"Type": "AWS::Nope::Thing"}})), "AWS::Nope::Thing"),
        (
            body(json!({"A": thing("a", json!({"Value": {"Ref": "Nobody"}}))})),
            "Nobody",
        ),
        (
            body(json!({"A": thing("a", json!({"Value": {"Fn::GetAtt": ["A2", "Value"]}}))})),
            "A2",
        ),
        (
            body(
                json!({"A": thing("a", json!({"Value": {"Ref": "B"}})), "B": thing("b", json!({"Value": {"Ref": "A"}}))}),
            ),
            "[A, B]",
        ),
        (
            json!({"Transform": "AWS::Serverless-2016-10-31", "Resources": {}}),
            "AWS::Serverless-2016-10-31",
        ),
        (json!({"Resources": {}}), "At least one Resources member"),
    ] {
        let error = bench.with_body("CreateStack", "s", template).await.unwrap_err();
        assert_eq!(error.code, "ValidationError");
        assert!(error.message.contains(word), "{}", error.message);
    }
    assert_eq!(bench.rest("s").await, "GONE");
}
