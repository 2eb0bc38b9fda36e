//! Leaving: a protected system with a database is refused, explained, and then taken away without a trace.

mod support;

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
    assert!(!system.state().exists(), "the endpoint went with it");
    let again = system.run(&["destroy", "--yes"]);
    assert_eq!(again.code, 0);
    assert!(again.all.contains("nothing to do"));
}
