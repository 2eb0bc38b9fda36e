//! A protected environment with a database: `destroy` refuses, explains, and then deletes it without a trace.

use serde_json::json;

use crate::support::curl;
use crate::support::hello::hello;

#[test]
#[ignore = "deploys a system; scripts/test runs it"]
fn a_protected_environment_is_deleted_by_its_typed_name_only_and_then_completely() {
    let project = hello();
    project.edit(
        "deployer.toml",
        "[services.hello]",
        "[databases.orders]\n\n[services.hello]\ndatabase = \"orders\"",
    );
    project.edit(
        "deployer.toml",
        "[environments.dev]",
        "[environments.dev]\nprotected = true",
    );
    assert_eq!(project.run(&["up", "--yes"]).code, 0);

    let plan = project.result(&["destroy", "--dry-run"]);
    let stack = |name: &str| {
        let mut stacks = plan["stacks"].as_array().unwrap().iter();
        stacks.find(|stack| stack["stack"] == name).unwrap()
    };
    let protects = |name: &str, resource: serde_json::Value| {
        let mut protections = stack(name)["protections"].as_array().unwrap().iter();
        protections.any(|protection| protection["resource"] == resource)
    };
    let data = stack("hello-dev-data")["data_resources"].as_array().unwrap();
    assert!(
        data.iter()
            .any(|one| one["resource"] == "OrdersDatabase" && one["outcome"] == "snapshotted"),
        "{data:?}"
    );
    assert!(protects("hello-dev-data", json!(null)), "termination protection");
    assert!(protects("hello-dev-data", json!("OrdersDatabase")));
    assert!(protects("hello-dev-platform", json!("LoadBalancer")));

    let before = project.stack_events(&[]);
    let refused: [(&[&str], &str); 3] = [
        (&["destroy", "--yes", "--confirm", "hello-dev"], "protected"),
        (&["destroy", "--yes", "--disable-protection"], "not_confirmed"),
        (
            &["destroy", "--yes", "--disable-protection", "--confirm", "hello"],
            "not_confirmed",
        ),
    ];
    for (arguments, code) in refused {
        project.json(arguments).fails(1, code);
    }
    assert_eq!(project.stack_events(&[]), before, "a refused destroy changes nothing");
    assert_eq!(project.run(&["up", "--yes"]).code, 0, "it still serves");

    let destroyed = project.json(&["destroy", "--disable-protection", "--confirm", "hello-dev"]);
    assert_eq!(destroyed.code, 0);
    let disabled = destroyed.position("the database's protection", |event| {
        event["event"] == "note"
            && event["text"]
                .as_str()
                .is_some_and(|text| text.contains("OrdersDatabase"))
    });
    let first_deletion = destroyed.position("a deletion", |event| {
        event["event"] == "stack" && event["action"] == "delete"
    });
    assert!(disabled < first_deletion);
    let kept = embedded_endpoint::service::rds::retained_snapshots(&project.state());
    let [snapshot] = kept.as_slice() else {
        panic!("one database, one final snapshot: {kept:?}")
    };
    assert!(
        snapshot.starts_with("hello-dev-data-snapshot-ordersdatabase-"),
        "{snapshot}"
    );
    let result = destroyed.result();
    let retained = result["retained"].as_array().unwrap();
    let command = format!("rds delete-db-snapshot --db-snapshot-identifier {snapshot}");
    assert!(
        retained
            .iter()
            .any(|one| one["name"] == snapshot.as_str() && one["commands"].to_string().contains(&command)),
        "{result}"
    );
    // the endpoint is stopped, and its state stays because of the snapshot
    assert_eq!(project.run(&["destroy", "--yes"]).code, 0);
    assert!(project.state().exists());

    // a disposable environment, made from the snapshot
    project.edit("deployer.toml", "protected = true", "");
    project.edit(
        "deployer.toml",
        "[databases.orders]",
        &format!("[databases.orders]\nsnapshot = \"{snapshot}\""),
    );
    assert_eq!(project.run(&["up", "--yes"]).code, 0);
    assert!(project.has_no_drift(&[]));
    let deleted = curl(&[
        &format!("http://127.0.0.1:{}", project.endpoint),
        "-H",
        "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/rds/aws4_request, SignedHeaders=host, Signature=0",
        "-d",
        &format!("Action=DeleteDBSnapshot&Version=2014-10-31&DBSnapshotIdentifier={snapshot}"),
    ]);
    assert!(deleted.contains("<Status>deleted</Status>"), "{deleted}");
    assert_eq!(project.run(&["destroy", "--yes"]).code, 0);
    assert!(!project.state().exists(), "the endpoint's state is removed");
    assert_eq!(project.run(&["destroy", "--yes"]).code, 0, "nothing to do is success");
}
