//! `up --code`: new code in seconds, past CloudFormation, and what the next full `up` makes of it.

mod support;

use support::stranger::stranger;
use support::{Scratch, curl};

/// What the service answers, asked until it is this or the rollout had its time.
fn answers(scratch: &Scratch, wanted: &str) -> bool {
    (0..100).any(|_| {
        let right = (0..3).all(|_| curl(&[&scratch.url()]) == wanted);
        if !right {
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        right
    })
}

#[test]
#[ignore = "deploys; scripts/test system runs it"]
fn code_is_swapped_in_place_and_the_next_full_up_reconciles_it() {
    let scratch = stranger();
    assert_eq!(scratch.run(&["up", "--yes"]).code, 0);
    assert_eq!(curl(&[&scratch.url()]), "hello");

    // what `images push` would send is what `up` has sent
    let said = scratch.run(&["images", "push"]);
    assert!(said.code == 0 && said.all.contains("image hello: unchanged"));
    let listed = scratch.run(&["images"]).out;
    assert!(
        listed
            .lines()
            .any(|row| row.starts_with("hello") && row.ends_with(" this"))
    );

    // nothing changed: nothing to do
    let said = scratch.run(&["up", "--code"]);
    assert!(said.code == 0 && said.all.contains("nothing to do"));

    // new code: live without any event of CloudFormation, and seen as drift
    let before = scratch.run(&["events"]).out;
    scratch.edit("hello/src/main.rs", "nhello\"", "nhullo\"");
    let said = scratch.run(&["up", "--code", "hello"]);
    assert!(
        said.code == 0 && said.all.contains("swapped: hello"),
        "it swaps the service"
    );
    assert!(answers(&scratch, "hullo"), "the new code answers");
    assert_eq!(
        scratch.run(&["events"]).out,
        before,
        "no event: CloudFormation was passed by"
    );
    let said = scratch.run(&["drift"]);
    assert!(
        said.out.contains("TaskDefinition"),
        "the service's task definition has drifted"
    );
    let said = scratch.run(&["status"]);
    assert!(
        said.out.contains("swapped by `up --code` at"),
        "status marks it: it runs another image than its stack declares"
    );

    // code that dies at start: rolled back by ECS, said so, exit code 4
    scratch.edit(
        "hello/src/main.rs",
        "fn main() {",
        "fn main() {\n    std::process::exit(9);",
    );
    let said = scratch.run(&["up", "--code"]);
    assert!(
        said.code == 4 && said.all.contains("rolled it back"),
        "a rollback is a failure"
    );
    assert!(answers(&scratch, "hullo"), "the code before it still answers");
    scratch.edit("hello/src/main.rs", "\n    std::process::exit(9);", "");

    // more than code is refused by name
    scratch.edit(
        "deployer.toml",
        "[environments.dev]",
        "environment = { LEVEL = \"1\" }\n\n[environments.dev]",
    );
    let said = scratch.run(&["up", "--code"]);
    assert!(
        said.code == 1 && said.all.contains("LEVEL") && said.all.contains("deployer up"),
        "it names what else changed"
    );
    scratch.edit("deployer.toml", "environment = { LEVEL = \"1\" }\n\n", "");

    // back to the code that the stack knows: its template is as deployed, and still the service has to roll
    scratch.edit("hello/src/main.rs", "nhullo\"", "nhello\"");
    let said = scratch.run(&["up", "--yes"]);
    assert!(
        said.code == 0 && said.all.contains("back to its stack's task definition"),
        "it says that it reconciles"
    );
    assert!(answers(&scratch, "hello"), "the full `up` has reconciled it");
    assert!(scratch.run(&["drift"]).out.contains("no drift"));
    assert_eq!(scratch.run(&["destroy", "--yes"]).code, 0);
    assert!(!scratch.state().exists());
}
