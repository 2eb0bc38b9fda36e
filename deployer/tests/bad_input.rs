//! What goes wrong between a person and a deployment, with a tiny service of a stranger's: each gives a clear error, and
//! nothing half-made stays behind unsaid.

mod support;

use std::process::Command;

use support::stranger::stranger;
use support::{Scratch, curl};

const EXTRA: &str = "[services.extra]\npackage = \"hello\"\nports = { http = 8001 }\n\n[environments.dev]";

fn destroyed(scratch: &Scratch) {
    assert_eq!(scratch.run(&["destroy", "--yes"]).code, 0);
    assert!(!scratch.state().exists());
}

#[test]
#[ignore = "deploys; scripts/test system runs it"]
fn a_strangers_service_deploys_and_its_mistakes_are_told() {
    let scratch = stranger();

    // a crate that does not compile: the compiler's words, and what is there already
    scratch.edit("hello/src/main.rs", "fn main() {", "fn main( {");
    let said = scratch.run(&["up", "--yes"]);
    assert_eq!(said.code, 1);
    assert!(said.all.contains("hello does not compile") && said.all.contains("unclosed delimiter"));
    assert!(said.all.contains("hello-dev-network"), "it says what was made so far");
    scratch.edit("hello/src/main.rs", "fn main( {", "fn main() {");

    // a first start that fails: exit code, last log lines, rolled back
    scratch.edit(
        "deployer.toml",
        "[environments.dev]",
        "environment = { CRASH = \"1\" }\n\n[environments.dev]",
    );
    let said = scratch.run(&["up", "--yes"]);
    assert_eq!(said.code, 4);
    assert!(said.all.contains("exit code 7") && said.all.contains("cannot find the sesame"));
    let before_rollback = said.all.find("cannot find the sesame") < said.all.find("ROLLBACK_COMPLETE");
    assert!(before_rollback, "the reason is told before the rollback takes it away");

    // the same manifest without the mistake goes on from there
    scratch.edit("deployer.toml", "environment = { CRASH = \"1\" }\n\n", "");
    assert_eq!(scratch.run(&["up", "--yes"]).code, 0);
    assert_eq!(scratch.run(&["outputs", "url"]).out.trim(), scratch.url());
    assert_eq!(curl(&[&scratch.url()]), "hello");
    destroyed(&scratch);
}

#[test]
#[ignore = "deploys; scripts/test system runs it"]
fn a_load_balancers_port_that_is_taken_is_named() {
    let scratch = stranger();
    let _holder = std::net::TcpListener::bind(("127.0.0.1", scratch.ingress)).unwrap();
    let said = scratch.run(&["up", "--yes"]);
    assert_eq!(said.code, 1);
    let taken = format!("listens on port {}, which is taken", scratch.ingress);
    assert!(said.all.contains("nothing was begun") && said.all.contains(&taken));
    destroyed(&scratch);
}

#[test]
#[ignore = "deploys; scripts/test system runs it"]
fn a_disk_without_room_for_an_image_is_told() {
    let scratch = stranger();
    let disk = scratch.path().join("var");
    std::fs::create_dir_all(&disk).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=3m", "none"])
        .arg(&disk)
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: mounting a small disk is not permitted here");
        return;
    }
    let said = scratch.run(&["up", "--yes"]);
    let destroyed = scratch.run(&["destroy", "--yes"]);
    assert!(Command::new("umount").arg(&disk).status().unwrap().success());
    assert_ne!(said.code, 0);
    assert!(said.all.contains("No space left on device"));
    assert_eq!(destroyed.code, 0);
}

#[test]
#[ignore = "deploys; scripts/test system runs it"]
fn a_database_without_postgresql_is_told_how_to_get_it() {
    let scratch = stranger();
    scratch.edit("deployer.toml", "ports =", "database = \"d\"\nports =");
    scratch.edit("deployer.toml", "[services.hello]", "[databases.d]\n\n[services.hello]");
    // PostgreSQL's programs are hidden from this command and what it starts, in a mount namespace of its own
    let up = scratch.command(&["up", "--yes"]);
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
    let said = support::Said::from(hidden.output().unwrap());
    println!("{}", said.all);
    if said.all.contains("unshare failed") || said.all.contains("mount:") {
        println!("skipped: hiding PostgreSQL is not permitted here");
        return;
    }
    assert_eq!(said.code, 4);
    assert!(said.all.contains("PostgreSQL") && said.all.contains("apt-get install postgresql"));
    destroyed(&scratch);
}

#[test]
#[ignore = "deploys; scripts/test system runs it"]
fn a_service_that_was_removed_goes_once_that_is_agreed_to() {
    let scratch = stranger();
    scratch.edit("deployer.toml", "[environments.dev]", EXTRA);
    assert_eq!(scratch.run(&["up", "--yes"]).code, 0);

    // nobody is there to ask: nothing is begun
    scratch.edit("deployer.toml", EXTRA, "[environments.dev]");
    let shown = scratch.run(&["diff"]);
    assert!(shown.out.contains("hello-dev-extra (delete)"), "{}", shown.out);
    let refused = scratch.run(&["up"]);
    assert_eq!(refused.code, 1);
    assert!(refused.all.contains("nothing was begun") && refused.all.contains("hello-dev-extra"));
    let status = scratch.run(&["status"]);
    assert!(
        !status.out.contains("UPDATE_COMPLETE") && status.out.contains("hello-dev-extra"),
        "{}",
        status.out
    );

    // agreed to: it goes before the shared stacks lose what it uses
    let done = scratch.run(&["up", "--yes"]);
    assert_eq!(done.code, 0);
    assert!(done.all.contains("1 deleted"), "{}", done.all);
    let gone = done
        .all
        .find("hello-dev-extra: DELETE_COMPLETE")
        .expect("it is deleted");
    assert!(
        gone < done.all.find("hello-dev-network: update").expect("the rules go"),
        "{}",
        done.all
    );
    assert!(!scratch.run(&["status"]).out.contains("extra"));

    // a network with other addresses cannot be had in place
    scratch.edit(
        "deployer.toml",
        "[ingress]",
        "[network]\ncidr = \"10.9.0.0/16\"\n\n[ingress]",
    );
    let refused = scratch.run(&["up", "--yes"]);
    assert_eq!(refused.code, 1);
    assert!(refused.all.contains("the CIDR block of a VPC cannot change"), "{}", refused.all);
    assert!(scratch.run(&["diff", "network"]).out.contains("`up` refuses this"));

    destroyed(&scratch);
}
