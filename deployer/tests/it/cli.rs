//! The command line without an endpoint: help, exit codes, files, and errors.

use std::io::Write;
use std::net::TcpListener;
use std::process::Command;

use tempfile::TempDir;

use crate::support::{FIXTURE, Run, free_port, repository};

/// Runs deployer in a directory, with a port and a state directory that nothing else uses.
fn deployer(dir: &TempDir, port: u16, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deployer"));
    command
        .current_dir(dir.path())
        .args(["--port", &port.to_string(), "--manifest", FIXTURE]);
    command.arg("--state-dir").arg(dir.path().join("state"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DEPLOYER_")) {
        command.env_remove(name);
    }
    Run::from(command.args(arguments).output().expect("deployer runs"))
}

#[test]
fn help_lists_every_command_and_an_unknown_one_is_exit_code_1() {
    let dir = TempDir::new().unwrap();
    let help = deployer(&dir, free_port(), &["--help"]);
    assert_eq!(help.code, 0);
    for command in [
        "up",
        "diff",
        "destroy",
        "synth",
        "validate",
        "status",
        "outputs",
        "logs",
        "events",
        "images",
        "drift",
        "unstick",
        "estimate",
        "permissions",
        "doctor",
        "endpoint",
        "completions",
    ] {
        assert!(
            help.out.lines().any(|line| line.trim_start().starts_with(command)),
            "{command} is missing in\n{}",
            help.out
        );
    }
    assert_eq!(deployer(&dir, free_port(), &["upp"]).code, 1);
}

#[test]
fn an_error_without_an_endpoint_has_a_hint() {
    let dir = TempDir::new().unwrap();
    let run = deployer(&dir, free_port(), &["status", "--json"]);
    run.fails(1, "no_endpoint");
    let error = run.error();
    assert_eq!(error["version"], 1);
    assert!(error["hint"].is_string(), "{error}");
}

#[test]
fn a_port_of_another_program_is_not_taken_for_an_endpoint() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = (&stream).write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    let dir = TempDir::new().unwrap();
    deployer(&dir, port, &["up", "--json"]).fails(1, "port_taken");
    assert!(!dir.path().join("state").exists(), "nothing was started");
}

#[test]
fn destroy_without_an_endpoint_and_its_state_succeeds() {
    let dir = TempDir::new().unwrap();
    assert_eq!(deployer(&dir, free_port(), &["destroy", "--yes"]).code, 0);
}

#[test]
fn synth_writes_the_same_templates_twice_and_check_names_a_stale_one() {
    let dir = TempDir::new().unwrap();
    let port = free_port();
    assert_eq!(deployer(&dir, port, &["synth"]).code, 0);
    let network = dir.path().join("templates/dev/network.json");
    let first = std::fs::read(&network).unwrap();
    assert_eq!(deployer(&dir, port, &["synth", "--check"]).code, 0);
    std::fs::write(&network, b"{}").unwrap();
    let stale = deployer(&dir, port, &["synth", "--check"]);
    assert_eq!(stale.code, 1);
    assert!(stale.err.contains("network.json"), "{}", stale.err);
    assert_eq!(deployer(&dir, port, &["synth"]).code, 0);
    assert_eq!(std::fs::read(&network).unwrap(), first);
}

#[test]
fn the_smallest_manifest_of_the_documents_is_valid_and_a_typo_in_it_is_explained() {
    let document = std::fs::read_to_string(repository().join("docs/manifest.md")).expect("the document");
    let own = document
        .split("\n## The smallest manifest\n")
        .nth(1)
        .expect("the section");
    let manifest = own.split("```toml").nth(1).and_then(|rest| rest.split("```").next());
    let manifest = manifest.expect("a manifest").to_owned();
    let dir = TempDir::new().unwrap();
    let validate = |text: &str| {
        std::fs::write(dir.path().join("deployer.toml"), text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_deployer"));
        command.current_dir(dir.path()).args(["validate", "--json"]);
        Run::from(command.output().expect("deployer runs"))
    };
    // the crates are missing
    validate(&manifest).fails(1, "preflight");

    let package = "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    std::fs::write(dir.path().join("Cargo.toml"), package).unwrap();
    std::fs::write(dir.path().join("Cargo.lock"), "version = 4\n").unwrap();
    std::fs::create_dir(dir.path().join("src")).unwrap();
    std::fs::write(dir.path().join("src/main.rs"), "fn main() {}").unwrap();
    let valid = validate(&manifest);
    assert_eq!(valid.code, 0, "{}", valid.all());

    let typo = validate(&manifest.replace("[services.hello]", "[service.hello]"));
    typo.fails(1, "manifest");
    let hint = typo.error()["hint"].clone();
    assert!(hint.as_str().is_some_and(|hint| hint.contains("`services`")), "{hint}");
}
