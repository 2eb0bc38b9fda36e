//! Leaving: a protected system with a database is refused, explained, and then taken away without a trace.

mod support;

use support::curl;
use support::stranger::stranger;

#[test]
#[ignore = "deploys a system; scripts/test runs it"]
fn a_protected_system_goes_only_by_its_typed_name_and_then_wholly() {
    let system = stranger();
    system.edit(
        "deployer.toml",
        "[services.hello]",
        "[databases.orders]\n\n[services.hello]\ndatabase = \"orders\"",
    );
    system.edit(
        "deployer.toml",
        "[environments.dev]",
        "[environments.dev]\nprotected = true",
    );
    assert_eq!(system.run(&["up", "--yes"]).code, 0);
    let plan = system.run(&["destroy", "--dry-run"]);
    assert_eq!(plan.code, 0);
    for word in [
        "database orders",
        "REFUSES stack hello-dev-data has termination protection",
        "REFUSES OrdersDatabase of hello-dev-data",
        "REFUSES LoadBalancer of hello-dev-platform",
    ] {
        assert!(plan.out.contains(word), "the plan says `{word}`");
    }
    let before = system.run(&["events"]).out;
    for refused in [
        ["destroy", "--yes", "--confirm", "hello-dev"].as_slice(),
        &["destroy", "--yes", "--lift-protection"],
        &["destroy", "--yes", "--lift-protection", "--confirm", "hello"],
    ] {
        assert_eq!(system.run(refused).code, 1);
    }
    assert_eq!(system.run(&["events"]).out, before, "what is refused begins nothing");
    assert_eq!(system.run(&["up", "--yes"]).code, 0, "it still serves");

    let gone = system.run(&["destroy", "--lift-protection", "--confirm", "hello-dev"]);
    assert_eq!(gone.code, 0);
    let at = |text: &str| gone.all.find(text).unwrap_or_else(|| panic!("`{text}` is missing"));
    let lifted = at("lifted: the deletion protection of OrdersDatabase");
    assert!(
        lifted < at(": delete,"),
        "every protection is lifted before the first deletion"
    );
    let kept = embedded_endpoint::service::rds::retained_snapshots(&system.state());
    let [snapshot] = kept.as_slice() else {
        panic!("one database, one final snapshot: {kept:?}")
    };
    assert!(
        snapshot.starts_with("hello-dev-data-snapshot-ordersdatabase-"),
        "{snapshot}"
    );
    let command = format!("rds delete-db-snapshot --db-snapshot-identifier {snapshot}");
    assert!(gone.all.contains(&command), "what deletes it is told");
    let again = system.run(&["destroy", "--yes"]);
    assert_eq!(again.code, 0);
    assert!(again.all.contains("nothing was deleted") && again.all.contains(snapshot.as_str()));

    // A disposable environment, out of what is left.
    system.edit("deployer.toml", "protected = true", "");
    system.edit(
        "deployer.toml",
        "[databases.orders]",
        &format!("[databases.orders]\nsnapshot = \"{snapshot}\""),
    );
    assert_eq!(system.run(&["up", "--yes"]).code, 0);
    let resources = system.run(&["drift"]).out;
    assert!(resources.contains("no drift"), "{resources}");
    let deleted = curl(&[
        &format!("http://127.0.0.1:{}", system.endpoint),
        "-H",
        "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/rds/aws4_request, SignedHeaders=host, Signature=0",
        "-d",
        &format!("Action=DeleteDBSnapshot&Version=2014-10-31&DBSnapshotIdentifier={snapshot}"),
    ]);
    assert!(deleted.contains("<Status>deleted</Status>"), "{deleted}");
    assert_eq!(system.run(&["destroy", "--yes"]).code, 0);
    assert!(!system.state().exists(), "the endpoint went with it");
    let last = system.run(&["destroy", "--yes"]);
    assert_eq!(last.code, 0);
    assert!(last.all.contains("nothing to do"));
}
