//! The command line as a person meets it: help, exit codes, and clear errors where nothing can be done.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deployer.toml");

/// Runs deployer far from anybody's endpoint: its own directory, port and state.
fn deployer(dir: &Path, port: u16, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deployer"));
    command
        .current_dir(dir)
        .args(["--port", &port.to_string(), "--manifest", MANIFEST]);
    command.arg("--state-dir").arg(dir.join("state"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DEPLOYER_")) {
        command.env_remove(name);
    }
    command.args(arguments).output().expect("deployer runs")
}

fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A port on which nothing listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn help_names_every_command_and_a_wrong_word_is_error_1() {
    let dir = TempDir::new().unwrap();
    let help = deployer(dir.path(), free_port(), &["--help"]);
    assert!(help.status.success());
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
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
        "doctor",
        "endpoint",
        "completions",
    ] {
        assert!(
            text.lines().any(|line| line.trim_start().starts_with(command)),
            "{command} is missing in\n{text}"
        );
    }
    assert_eq!(deployer(dir.path(), free_port(), &["upp"]).status.code(), Some(1));
}

#[test]
fn without_an_endpoint_a_command_fails_within_two_seconds_and_says_what_to_do() {
    let dir = TempDir::new().unwrap();
    let began = Instant::now();
    let output = deployer(dir.path(), free_port(), &["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(2));
    let talk = talk(&output);
    assert!(
        talk.contains("nothing listens on") && talk.contains("hint: ") && talk.contains("endpoint start"),
        "{talk}"
    );
}

#[test]
fn a_port_that_something_else_has_is_told_apart_from_an_endpoint() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = (&stream).write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    let dir = TempDir::new().unwrap();
    let output = deployer(dir.path(), port, &["up"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        talk(&output).contains(&format!(
            "port {port} is taken by something that is not an AWS endpoint"
        )),
        "{}",
        talk(&output)
    );
    assert!(!dir.path().join("state").exists(), "nothing was begun");
}

#[test]
fn destroy_where_nothing_is_succeeds_and_says_so() {
    let dir = TempDir::new().unwrap();
    let output = deployer(dir.path(), free_port(), &["destroy", "--yes"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(talk(&output).contains("nothing to do"), "{}", talk(&output));
}

#[test]
fn synth_writes_the_same_templates_twice_and_notices_a_stale_one() {
    let dir = TempDir::new().unwrap();
    let port = free_port();
    assert!(deployer(dir.path(), port, &["synth"]).status.success());
    let network = dir.path().join("templates/dev/network.json");
    let first = std::fs::read(&network).unwrap();
    assert!(deployer(dir.path(), port, &["synth", "--check"]).status.success());
    std::fs::write(&network, b"{}").unwrap();
    let stale = deployer(dir.path(), port, &["synth", "--check"]);
    assert_eq!(stale.status.code(), Some(1));
    assert!(talk(&stale).contains("network.json"), "{}", talk(&stale));
    assert!(deployer(dir.path(), port, &["synth"]).status.success());
    assert_eq!(std::fs::read(&network).unwrap(), first);
}

#[test]
fn with_json_an_error_is_a_versioned_line_on_stdout() {
    let dir = TempDir::new().unwrap();
    let output = deployer(dir.path(), free_port(), &["status", "--json"]);
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    assert_eq!(
        (
            line["version"].as_u64(),
            line["event"].as_str(),
            line["exit_code"].as_u64()
        ),
        (Some(1), Some("error"), Some(1))
    );
}

#[test]
fn the_readmes_smallest_manifest_is_a_whole_one_and_a_slip_in_it_is_explained() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).expect("the README");
    let own = readme.split("## Your own services").nth(1).expect("the chapter");
    let manifest = own.split("```toml").nth(1).and_then(|rest| rest.split("```").next());
    let manifest = manifest.expect("a manifest").to_owned();
    let dir = TempDir::new().unwrap();
    let validate = |text: &str| {
        std::fs::write(dir.path().join("deployer.toml"), text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_deployer"));
        command
            .current_dir(dir.path())
            .arg("validate")
            .output()
            .expect("deployer runs")
    };
    let nothing = validate(&manifest);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(
        talk(&nothing).contains("there is no Cargo.toml in"),
        "{}",
        talk(&nothing)
    );

    let package = "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    std::fs::write(dir.path().join("Cargo.toml"), package).unwrap();
    std::fs::write(dir.path().join("Cargo.lock"), "version = 4\n").unwrap();
    std::fs::create_dir(dir.path().join("src")).unwrap();
    std::fs::write(dir.path().join("src/main.rs"), "fn main() {}").unwrap();
    let whole = validate(&manifest);
    assert!(whole.status.success(), "{}", talk(&whole));

    let slip = validate(&manifest.replace("[services.hello]", "[service.hello]"));
    assert_eq!(slip.status.code(), Some(1));
    assert!(
        talk(&slip).contains("hint: did you mean `services`?"),
        "{}",
        talk(&slip)
    );
}
