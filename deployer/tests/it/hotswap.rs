//! `up --code`: new code within seconds, without CloudFormation, and how the next full `up` reconciles it.

use serde_json::json;

use crate::support::hello::hello;
use crate::support::{Project, curl, eventually, text};

/// Waits until three responses in a row are this one.
fn answers(project: &Project, expected: &str) {
    eventually(expected, 30, || (0..3).all(|_| curl(&[&project.url()]) == expected));
}

#[test]
#[ignore = "deploys; scripts/test system runs it"]
fn code_is_replaced_in_place_and_the_next_full_up_reconciles_it() {
    let project = hello();
    assert_eq!(project.run(&["up", "--yes"]).code, 0);
    assert_eq!(curl(&[&project.url()]), "hello");

    // `up` has pushed what `images push` would push
    let pushed = project.json(&["images", "push"]);
    assert_eq!(pushed.code, 0);
    pushed.position("an unchanged image", |event| {
        event["event"] == "image" && event["service"] == "hello" && event["step"] == "unchanged"
    });
    let listed = project.result(&["images"]);
    let digest = text(&listed[0]["digest"]);
    assert!(text(&listed[0]["image"]).ends_with(&digest), "{listed}");

    // no change: nothing to do
    let swapped = |arguments: &[&str]| project.result(&[&["up", "--code"], arguments].concat())["swapped"].clone();
    assert_eq!(swapped(&[]), json!([]));

    // new code: live without a stack event, and reported as drift
    let before = project.stack_events(&[]);
    project.edit("hello/src/main.rs", "nhello\"", "nhullo\"");
    assert_eq!(swapped(&["hello"]), json!(["hello"]));
    answers(&project, "hullo");
    assert_eq!(project.stack_events(&[]), before);
    let drift = project.result(&["drift"]);
    assert!(drift["drifted"].to_string().contains("TaskDefinition"), "{drift}");
    let status = project.result(&["status"]);
    assert!(status["versions"][0]["swapped"].is_object(), "{status}");

    // code that exits at its start: ECS rolls it back
    project.edit(
        "hello/src/main.rs",
        "fn main() {",
        "fn main() {\n    std::process::exit(9);",
    );
    project.json(&["up", "--code"]).fails(4, "rolled_back");
    answers(&project, "hullo");
    project.edit("hello/src/main.rs", "\n    std::process::exit(9);", "");

    // a change of more than code is refused, and named
    project.edit(
        "deployer.toml",
        "[environments.dev]",
        "environment = { LEVEL = \"1\" }\n\n[environments.dev]",
    );
    let refused = project.json(&["up", "--code"]);
    refused.fails(1, "more_than_code");
    assert!(text(&refused.error()["message"]).contains("LEVEL"));
    project.edit("deployer.toml", "environment = { LEVEL = \"1\" }\n\n", "");

    // back to the code of the stack: its template is as deployed, and the service still needs a rollout
    project.edit("hello/src/main.rs", "nhullo\"", "nhello\"");
    assert_eq!(project.run(&["up", "--yes"]).code, 0);
    answers(&project, "hello");
    assert!(project.has_no_drift(&[]));
    assert_eq!(project.run(&["destroy", "--yes"]).code, 0);
    assert!(!project.state().exists());
}
