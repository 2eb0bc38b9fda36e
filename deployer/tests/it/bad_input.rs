//! Mistakes of a user, each with a small project: the error is clear, and no half-made stack stays behind unreported.

use std::process::Command;

use serde_json::json;

use crate::support::hello::hello;
use crate::support::{Project, Run, curl, eventually, skip};

const EXTRA: &str = "[services.extra]\npackage = \"hello\"\nports = { http = 8001 }\n\n[environments.dev]";

fn destroy(project: &Project) {
    assert_eq!(project.run(&["destroy", "--yes"]).code, 0);
    assert!(!project.state().exists());
}

#[test]
#[ignore = "deploys; scripts/test system runs it"]
fn a_crate_that_does_not_compile_and_a_task_that_exits_are_reported_and_the_next_up_continues() {
    let project = hello();

    // a crate that does not compile: the compiler's own message
    project.edit("hello/src/main.rs", "fn main() {", "fn main( {");
    let run = project.json(&["up", "--yes"]);
    run.fails(1, "compile");
    assert!(run.all().contains("unclosed delimiter"));
    project.edit("hello/src/main.rs", "fn main( {", "fn main() {");

    // a task that exits at its first start: the stack is rolled back, and its reason was reported before
    project.edit(
        "deployer.toml",
        "[environments.dev]",
        "environment = { CRASH = \"1\" }\n\n[environments.dev]",
    );
    let run = project.json(&["up", "--yes"]);
    run.fails(4, "stack_failed");
    let stopped = run.position("a stopped task", |event| {
        event["event"] == "task_stopped" && event["exit_code"] == 7 && event["log"] == json!(["cannot find the sesame"])
    });
    let rolled_back = run.position("the rollback", |event| {
        event["event"] == "stack_ended" && event["status"] == "ROLLBACK_COMPLETE"
    });
    assert!(stopped < rolled_back);

    // the corrected manifest continues from there
    project.edit("deployer.toml", "environment = { CRASH = \"1\" }\n\n", "");
    assert_eq!(project.run(&["up", "--yes"]).code, 0);
    assert_eq!(project.run(&["outputs", "url"]).out.trim(), project.url());
    assert_eq!(curl(&[&project.url()]), "hello");
    destroy(&project);
}

#[test]
#[ignore = "deploys; scripts/test system runs it"]
fn a_load_balancers_port_that_is_taken_ends_up_before_it_begins() {
    let project = hello();
    let _holder = std::net::TcpListener::bind(("127.0.0.1", project.ingress)).unwrap();
    let run = project.json(&["up", "--yes"]);
    run.fails(1, "preflight");
    assert!(run.all().contains(&project.ingress.to_string()));
    assert!(project.stacks().is_empty());
    destroy(&project);
}

#[test]
#[ignore = "deploys; scripts/test system runs it"]
fn a_disk_without_space_for_an_image_is_reported() {
    let project = hello();
    let disk = project.path().join("var");
    std::fs::create_dir_all(&disk).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=3m", "none"])
        .arg(&disk)
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        return skip("this user may not mount a small disk");
    }
    let up = project.run(&["up", "--yes"]);
    let destroyed = project.run(&["destroy", "--yes"]);
    // The kernel releases the endpoint's files a moment after its process has ended.
    eventually("the disk is not busy", 10, || {
        Command::new("umount").arg(&disk).status().unwrap().success()
    });
    assert_ne!(up.code, 0);
    assert!(up.all().contains("No space left on device"), "the system's own message");
    assert_eq!(destroyed.code, 0);
}

#[test]
#[ignore = "deploys; scripts/test system runs it"]
fn a_database_without_postgresql_is_reported_with_the_package_to_install() {
    let project = hello();
    project.edit("deployer.toml", "ports =", "database = \"d\"\nports =");
    project.edit("deployer.toml", "[services.hello]", "[databases.d]\n\n[services.hello]");
    // a mount namespace hides PostgreSQL's programs from this command and the processes that it starts
    let up = project.command(&["up", "--yes", "--json"]);
    let mut hidden = Command::new("unshare");
    hidden.args([
        "-m",
        "sh",
        "-c",
        "mount -t tmpfs none /usr/lib/postgresql && exec \"$@\"",
        "sh",
    ]);
    hidden
        .arg(up.get_program())
        .args(up.get_args())
        .stdin(std::process::Stdio::null());
    let run = Run::from(hidden.output().unwrap());
    println!("{}", run.all());
    if run.err.contains("unshare failed") || run.err.contains("mount:") {
        return skip("this user may not create a mount namespace");
    }
    run.fails(1, "preflight");
    assert!(run.out.contains("apt-get install postgresql"));
    assert_eq!(
        project.stacks(),
        [""; 0],
        "it is known before the first stack is created"
    );
    destroy(&project);
}

#[test]
#[ignore = "deploys; scripts/test system runs it"]
fn a_removed_service_is_deleted_once_that_is_confirmed() {
    let project = hello();
    project.edit("deployer.toml", "[environments.dev]", EXTRA);
    assert_eq!(project.run(&["up", "--yes"]).code, 0);

    // without a terminal there is no confirmation, and nothing changes
    project.edit("deployer.toml", EXTRA, "[environments.dev]");
    let differences = project.result(&["diff"]);
    assert!(
        differences
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["stack"] == "hello-dev-extra" && one["action"] == "delete")
    );
    let before = project.stack_events(&[]);
    project.json(&["up"]).fails(1, "not_confirmed");
    assert_eq!(project.stack_events(&[]), before);
    assert!(project.stacks().contains(&"hello-dev-extra".to_owned()));

    // confirmed: it is deleted before the shared stacks lose what it uses
    let run = project.json(&["up", "--yes"]);
    assert_eq!(run.code, 0);
    let deleted = run.position("the deletion", |event| {
        event["event"] == "stack_ended" && event["stack"] == "hello-dev-extra" && event["status"] == "DELETE_COMPLETE"
    });
    let updated = run.position("the update of the rules", |event| {
        event["event"] == "stack" && event["stack"] == "hello-dev-network" && event["action"] == "update"
    });
    assert!(deleted < updated);
    let summary = run.position("one deletion in the summary", |event| {
        event["event"] == "summary" && event["deleted"] == 1
    });
    assert!(updated < summary);
    assert!(!project.stacks().contains(&"hello-dev-extra".to_owned()));

    // a VPC cannot change its addresses
    project.edit(
        "deployer.toml",
        "[ingress]",
        "[network]\ncidr = \"10.9.0.0/16\"\n\n[ingress]",
    );
    project.json(&["up", "--yes"]).fails(1, "preflight");
    let refused = project.result(&["diff", "network"]);
    assert!(
        refused[0]["note"].is_string(),
        "diff says that `up` refuses it: {refused}"
    );

    destroy(&project);
}
