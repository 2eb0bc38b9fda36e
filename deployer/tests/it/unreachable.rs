//! Every command without a responding endpoint: it ends soon, with an exit code, an error and a hint.
//!
//! The time limit is a guard against a command that hangs, generous for a busy machine; `scripts/bench` measures.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{FIXTURE, Run, free_port};

const GUARD: Duration = Duration::from_secs(20);

/// Commands that need an endpoint.
const COMMANDS: &[&[&str]] = &[
    &["up", "--code"],
    &["diff"],
    &["diff", "network"],
    &["destroy", "--yes"],
    &["validate", "--online"],
    &["status"],
    &["outputs"],
    &["outputs", "url"],
    &["logs"],
    &["logs", "--follow", "orders"],
    &["events"],
    &["drift"],
    &["unstick", "network"],
    &["doctor"],
];

/// Commands that need none: they succeed whatever the endpoint does.
const OFFLINE: &[&[&str]] = &[
    &["--help"],
    &["validate"],
    &["diff", "--offline"],
    &["estimate"],
    &["estimate", "--from-scratch"],
    &["completions", "bash"],
];

/// Credentials that no endpoint checks.
const CREDENTIALS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_REGION", "eu-west-1"),
];

/// A directory with the manifest of the tests and its templates, which `diff --offline` compares with.
fn project() -> TempDir {
    let dir = TempDir::new().unwrap();
    let fixture = std::path::Path::new(FIXTURE).parent().unwrap();
    let manifest = std::fs::read_to_string(FIXTURE).unwrap();
    let manifest = manifest.replace(
        "name = \"shop\"\n",
        &format!("name = \"shop\"\nworkspace = \"{}\"\n", fixture.display()),
    );
    std::fs::write(dir.path().join("deployer.toml"), manifest).unwrap();
    let synth = run(&dir, &["synth"], &[]);
    assert_eq!(synth.code, 0, "{}", synth.all());
    dir
}

/// Runs deployer in this directory, without credentials, until it ends or the time limit is over.
fn run(dir: &TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deployer"));
    command.current_dir(dir.path()).env("HOME", dir.path());
    for (name, _) in std::env::vars().filter(|(name, _)| {
        ["DEPLOYER_", "AWS_"].iter().any(|prefix| name.starts_with(prefix)) || name.to_lowercase().ends_with("_proxy")
    }) {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied()).args(arguments);
    command.arg("--state-dir").arg(dir.path().join("state"));
    // Files, because a pipe that nothing reads blocks the command.
    let output = ["out", "err"].map(|name| dir.path().join(name));
    let [out, err] = output.each_ref().map(|path| File::create(path).unwrap());
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .expect("deployer runs");
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if start.elapsed() > GUARD {
            child.kill().expect("a child");
            panic!("deployer {} still ran after {GUARD:?}", arguments.join(" "));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    println!(
        "{:7.3} s  deployer {}",
        start.elapsed().as_secs_f64(),
        arguments.join(" ")
    );
    let [out, err] = output.map(|path| std::fs::read_to_string(path).unwrap());
    Run {
        code: status.code().unwrap_or(-1),
        out,
        err,
    }
}

/// Asserts that every command with these options fails with this exit code and error, and a hint; and that those that need
/// no endpoint succeed.
fn each_fails_with_a_hint(options: &[&str], environment: &[(&str, &str)], exit_code: i32, code: &str) {
    let dir = project();
    for command in COMMANDS {
        let run = run(&dir, &[*command, options, &["--json"]].concat(), environment);
        if command[0] == "doctor" {
            assert_eq!(run.code, 1, "{}", run.all());
            continue;
        }
        run.fails(exit_code, code);
        assert!(run.error()["hint"].is_string(), "{command:?}: {}", run.all());
    }
    for command in OFFLINE {
        let run = run(&dir, &[*command, options].concat(), environment);
        assert_eq!(run.code, 0, "{command:?}: {}", run.all());
    }
}

#[test]
fn a_closed_port_is_an_error_with_a_hint_for_every_command() {
    let url = format!("http://127.0.0.1:{}", free_port());
    each_fails_with_a_hint(&["--endpoint-url", &url], &[], 1, "unreachable");
}

#[test]
fn a_port_that_accepts_connections_and_never_responds_is_an_error_with_a_hint_for_every_command() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    each_fails_with_a_hint(&["--endpoint-url", &url], &[], 1, "port_taken");
}

#[test]
fn a_port_that_never_responds_is_waited_for_once() {
    let dir = project();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let address = silent.local_addr().unwrap();
    let (port, url) = (address.port().to_string(), format!("http://{address}"));
    for command in [
        vec!["destroy", "--yes", "--port", &port],
        vec!["estimate", "--port", &port],
        vec!["estimate", "--target", "aws", "--endpoint-url", &url],
    ] {
        let run = run(&dir, &command, &CREDENTIALS);
        let connections = std::iter::from_fn(|| silent.accept().ok()).count();
        assert_eq!(
            connections,
            2,
            "one that tests the port, one that waits: {command:?}: {}",
            run.all()
        );
    }
}

#[test]
fn a_stopped_endpoint_is_an_error_with_a_hint_and_destroy_has_nothing_to_do() {
    let dir = project();
    let port = free_port().to_string();
    for command in COMMANDS {
        let run = run(&dir, &[*command, &["--port", &port, "--json"]].concat(), &[]);
        match command[0] {
            "destroy" => assert_eq!(run.code, 0, "{}", run.all()),
            // `up` would start the endpoint, so this is not a failed check; others may fail on this machine.
            "doctor" => {
                let checks = run.result();
                let endpoint = checks
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|check| check["check"] == "endpoint");
                assert_eq!(endpoint.unwrap()["level"], "ok", "{checks}");
            }
            _ => {
                run.fails(1, "no_endpoint");
                assert!(run.error()["hint"].is_string(), "{command:?}: {}", run.all());
            }
        }
    }
}

#[test]
fn aws_without_credentials_is_exit_code_3_without_waiting_for_an_instance_role() {
    // an instance's metadata service that never responds
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let metadata = format!("http://{}", silent.local_addr().unwrap());
    let environment = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.as_str()),
        ("AWS_REGION", "eu-west-1"),
    ];
    each_fails_with_a_hint(&["--target", "aws"], &environment, 3, "denied");
}

#[test]
fn images_are_listed_without_an_endpoint() {
    let dir = project();
    let (port, url) = (free_port().to_string(), format!("http://127.0.0.1:{}", free_port()));
    for options in [["--port", port.as_str()], ["--endpoint-url", url.as_str()]] {
        let run = run(&dir, &["images", options[0], options[1], "--json"], &[]);
        assert_eq!(run.code, 0, "{}", run.all());
        run.position("a warning that the deployed images are unknown", |event| {
            event["event"] == "warning"
        });
        assert_eq!(run.result().as_array().map(Vec::len), Some(3));
    }
}

#[test]
fn the_embedded_endpoint_does_not_exist_on_aws() {
    let dir = project();
    let port = free_port().to_string();
    for action in ["status", "stop"] {
        let here = run(&dir, &["endpoint", action, "--port", &port], &[]);
        assert_eq!(here.code, 0, "{}", here.all());
        run(&dir, &["endpoint", action, "--target", "aws", "--json"], &[]).fails(1, "invalid_argument");
    }
}

#[test]
fn aws_without_a_region_is_an_error_with_a_hint() {
    let dir = project();
    let run = run(
        &dir,
        &["status", "--target", "aws", "--json"],
        &[("AWS_EC2_METADATA_DISABLED", "true")],
    );
    run.fails(1, "no_region");
    assert!(run.error()["hint"].is_string());
}

#[test]
fn aws_at_an_endpoint_that_does_not_respond_is_not_retried() {
    let dir = project();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (closed, silent_url) = (
        format!("http://127.0.0.1:{}", free_port()),
        format!("http://{}", silent.local_addr().unwrap()),
    );
    for url in [closed, silent_url] {
        let options = ["status", "--target", "aws", "--endpoint-url", &url, "--json"];
        let run = run(&dir, &options, &CREDENTIALS);
        run.fails(1, "unreachable");
        assert!(run.error()["hint"].is_string());
    }
}
