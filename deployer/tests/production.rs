//! Production on this machine: the manifest's own `prod`, over HTTPS, from the first `up` to a destruction that had to be meant.
//!
//! It takes two minutes and needs PostgreSQL and a broker, so it is ignored unless asked for: `scripts/test system`.

mod support;

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::readme::{blocks, paste};
use support::{Said, Scratch, eventually};

const PROJECT: &str = "pms-prod";

/// The project's own manifest under another name, with a certificate and on a port of its own.
fn production() -> Scratch {
    let scratch = Scratch::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    std::fs::copy(root.join("deployer.toml"), scratch.manifest()).unwrap();
    let edit = |from: &str, to: &str| scratch.edit("deployer.toml", from, to);
    edit("name = \"patient-management\"", &format!("name = \"{PROJECT}\""));
    edit("workspace = \".\"", &format!("workspace = {root:?}"));
    edit("port = 80  ", &format!("port = {}", scratch.ingress));
    edit(
        "# certificate = \"arn:aws:acm:…\"",
        "certificate = \"arn:aws:acm:us-east-1:000000000000:certificate/1\"",
    );
    // what brokers ask of roles is `system`'s to try
    edit("security = \"msk-iam\"", "security = \"plaintext\"");
    scratch
}

#[test]
#[ignore = "deploys a whole system; scripts/test runs it"]
fn production_serves_over_https_is_left_alone_by_a_second_up_and_goes_only_when_that_is_meant() {
    let system = production();
    let url = format!("https://localhost:{}", system.ingress);
    let up = system.run(&["up", "--env", "prod", "--yes"]);
    assert_eq!(up.code, 0, "up failed");
    its_printed_lines_work(&up, &url);
    the_first_administrator_works_with_it(&system);
    two_tasks_of_each_service_run(&system);
    nothing_is_left_to_do(&system);
    it_goes_only_when_that_is_meant(&system);
}

fn its_printed_lines_work(up: &Said, url: &str) {
    let mut lines = up.out.lines();
    assert_eq!(lines.next(), Some(url));
    let lines: Vec<&str> = lines.filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(lines.len(), 2, "{}", up.out);
    for line in lines {
        assert!(!line.contains("password"), "there is no demo user: {line}");
        let output = Command::new("sh").args(["-c", line]).output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("`{line}` gave {:?}", Said::from(output).all));
        assert!(answer.get("keys").or(answer.get("openapi")).is_some(), "{answer}");
    }
    let unasked = Command::new("curl").args(["-s", url]).status().unwrap();
    // curl's exit code for a certificate that nobody it knows vouches for
    assert_eq!(unasked.code(), Some(60), "who was not told whom to trust trusts nobody");
}

/// The README's lines, then a patient whose event comes through Kafka.
fn the_first_administrator_works_with_it(system: &Scratch) {
    let blocks = blocks("Production, on this machine");
    let login = blocks.last().unwrap();
    let script = format!(
        "export CURL_CA_BUNDLE=$(scripts/deployer outputs --env prod authority)\n{login}\n\
         echo\n\
         made=$(curl -s -X POST $url/api/patients -H \"Authorization: Bearer $token\" -H 'Content-Type: application/json' \
         -d '{{\"name\":\"Ada Lovelace\",\"email\":\"ada@example.org\",\"address\":\"12 St James Square\",\"dateOfBirth\":\"1990-12-10\"}}')\n\
         echo \"$made\"\n\
         id=$(printf %s \"$made\" | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/')\n\
         for second in $(seq 30); do\n\
         seen=$(curl -s \"$url/api/analytics/events?patientId=$id\" -H \"Authorization: Bearer $token\")\n\
         case $seen in *PATIENT_CREATED*) break ;; esac\n\
         sleep 1\n\
         done\n\
         echo \"$seen\""
    );
    let said = paste(system, PROJECT, &script);
    assert_eq!(said.code, 0);
    assert_eq!(
        said.out.lines().next(),
        Some("[]"),
        "no patient is there before: no demo data"
    );
    for word in ["Ada Lovelace", "PATIENT_CREATED"] {
        assert!(said.out.contains(word), "the answers show {word}");
    }
}

fn two_tasks_of_each_service_run(system: &Scratch) {
    let status = system.run(&["status", "--env", "prod"]);
    assert_eq!(status.code, 0);
    let full = status.out.lines().filter(|line| line.contains(" 2/2 "));
    assert_eq!(full.count(), 6, "two tasks of each of six services");
}

fn nothing_is_left_to_do(system: &Scratch) {
    let before = system.run(&["events", "--env", "prod"]).out;
    assert_eq!(system.run(&["up", "--env", "prod", "--yes"]).code, 0);
    assert_eq!(
        system.run(&["events", "--env", "prod"]).out,
        before,
        "a second up makes no event"
    );
    assert_eq!(system.run(&["diff", "--env", "prod", "--exit-code"]).code, 0);
    assert_eq!(system.run(&["drift", "--env", "prod"]).out.trim(), "no drift");
}

fn it_goes_only_when_that_is_meant(system: &Scratch) {
    assert_eq!(
        system.run(&["destroy", "--env", "prod", "--yes"]).code,
        1,
        "it is protected"
    );
    let gone = system.run(&[
        "destroy",
        "--env",
        "prod",
        "--lift-protection",
        "--confirm",
        &format!("{PROJECT}-prod"),
    ]);
    assert_eq!(gone.code, 0);
    eventually("no process is left", 15, || system.processes().is_empty());
    for port in [system.ingress, system.endpoint] {
        assert!(
            TcpStream::connect(("127.0.0.1", port)).is_err(),
            "port {port} is still open"
        );
    }
}
