//! Every command where nothing answers: it ends soon, says why, and what to do next.
//!
//! The bound is a guard against waiting for ever, generous for a machine that compiles meanwhile; `scripts/bench` measures.

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deployer.toml");
/// Two seconds is what a person waits; a busy machine gets more.
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
    &["logs", "--follow", "auth-service"],
    &["events"],
    &["drift"],
    &["unstick", "network"],
    &["doctor"],
];

/// Commands that need none: they succeed whatever the endpoint does.
const CONTENT: &[&[&str]] = &[
    &["--help"],
    &["validate"],
    &["diff", "--offline"],
    &["estimate"],
    &["estimate", "--from-scratch"],
    &["completions", "bash"],
];

struct Ended {
    code: i32,
    talk: String,
    took: Duration,
}

/// Runs deployer in a directory of its own, with nobody's credentials, until it ends or the guard strikes.
fn run(dir: &TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deployer"));
    command.current_dir(dir.path()).env("HOME", dir.path());
    for (name, _) in std::env::vars().filter(|(name, _)| {
        ["DEPLOYER_", "AWS_"].iter().any(|prefix| name.starts_with(prefix)) || name.to_lowercase().ends_with("_proxy")
    }) {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied()).args(arguments);
    command
        .args(["--manifest", MANIFEST, "--state-dir"])
        .arg(dir.path().join("state"));
    let began = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("deployer runs");
    while child.try_wait().expect("a child").is_none() {
        if began.elapsed() > GUARD {
            child.kill().expect("a child");
            let said = talk(&child.wait_with_output().expect("its output"));
            panic!("deployer {} still ran after {GUARD:?}: {said}", arguments.join(" "));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = began.elapsed();
    let output = child.wait_with_output().expect("its output");
    Ended {
        code: output.status.code().unwrap_or(-1),
        talk: talk(&output),
        took,
    }
}

fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Every command with these options fails with this exit code and a hint; those that need no endpoint do not care.
fn each_fails_with_a_hint(options: &[&str], environment: &[(&str, &str)], code: i32, reason: &str) {
    let dir = TempDir::new().unwrap();
    for command in COMMANDS {
        let ended = run(&dir, &[*command, options].concat(), environment);
        let line = format!("deployer {} {}", command.join(" "), options.join(" "));
        println!("{:7.3} s  {line}", ended.took.as_secs_f64());
        if command[0] == "doctor" {
            assert_eq!(ended.code, 1, "{line}: {}", ended.talk);
            continue;
        }
        assert_eq!(ended.code, code, "{line}: {}", ended.talk);
        assert!(
            ended.talk.contains(reason) && ended.talk.contains("hint: "),
            "{line}: {}",
            ended.talk
        );
    }
    for command in CONTENT {
        let ended = run(&dir, &[*command, options].concat(), environment);
        assert_eq!(
            ended.code,
            0,
            "deployer {} {}: {}",
            command.join(" "),
            options.join(" "),
            ended.talk
        );
    }
}

#[test]
fn a_closed_port_is_an_error_with_a_hint_for_every_command() {
    let url = format!("http://127.0.0.1:{}", free_port());
    each_fails_with_a_hint(&["--endpoint-url", &url], &[], 1, "nothing listens on");
}

#[test]
fn a_port_that_takes_connections_and_never_answers_is_an_error_with_a_hint_for_every_command() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    each_fails_with_a_hint(&["--endpoint-url", &url], &[], 1, "does not speak HTTP");
}

#[test]
fn a_port_that_keeps_silent_is_waited_for_once() {
    let dir = TempDir::new().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let address = silent.local_addr().unwrap();
    let (port, url) = (address.port().to_string(), format!("http://{address}"));
    let signed = [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "eu-west-1"),
    ];
    for command in [
        vec!["destroy", "--yes", "--port", &port],
        vec!["estimate", "--port", &port],
        vec!["estimate", "--target", "aws", "--endpoint-url", &url],
    ] {
        let ended = run(&dir, &command, &signed);
        println!("{:7.3} s  deployer {}", ended.took.as_secs_f64(), command.join(" "));
        let connections = std::iter::from_fn(|| silent.accept().ok()).count();
        assert_eq!(
            connections, 2,
            "one to see that it listens, one that waits: {command:?}: {}",
            ended.talk
        );
    }
}

#[test]
fn an_endpoint_that_was_stopped_is_an_error_with_a_hint_and_nothing_is_left_to_destroy() {
    let dir = TempDir::new().unwrap();
    let port = free_port().to_string();
    for command in COMMANDS {
        let ended = run(&dir, &[*command, &["--port", &port]].concat(), &[]);
        match command[0] {
            "destroy" => assert_eq!(
                (ended.code, ended.talk.contains("nothing to do")),
                (0, true),
                "{}",
                ended.talk
            ),
            // Nothing listens yet, and `up` starts it: no fault of this machine's.
            "doctor" => assert!(!ended.talk.contains("panicked"), "{}", ended.talk),
            _ => {
                assert_eq!(ended.code, 1, "{command:?}: {}", ended.talk);
                assert!(
                    ended.talk.contains("hint: start it with"),
                    "{command:?}: {}",
                    ended.talk
                );
            }
        }
    }
}

#[test]
fn aws_without_credentials_is_exit_3_and_nobody_waits_for_an_instance_role() {
    // Plays the instance's metadata service, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let metadata = format!("http://{}", silent.local_addr().unwrap());
    let environment = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.as_str()),
        ("AWS_REGION", "eu-west-1"),
    ];
    each_fails_with_a_hint(
        &["--target", "aws"],
        &environment,
        3,
        "no usable credentials were found",
    );
}

#[test]
fn images_are_listed_without_an_endpoint_and_what_is_deployed_is_not_known() {
    let dir = TempDir::new().unwrap();
    let (port, url) = (free_port().to_string(), format!("http://127.0.0.1:{}", free_port()));
    for options in [["--port", port.as_str()], ["--endpoint-url", url.as_str()]] {
        let ended = run(&dir, &["images", options[0], options[1]], &[]);
        assert_eq!(ended.code, 0, "{}", ended.talk);
        assert!(ended.talk.contains("what is deployed is not known"), "{}", ended.talk);
    }
}

#[test]
fn the_embedded_endpoint_is_no_matter_of_aws() {
    let dir = TempDir::new().unwrap();
    let port = free_port().to_string();
    for action in ["status", "stop"] {
        let ended = run(&dir, &["endpoint", action, "--port", &port], &[]);
        assert_eq!(ended.code, 0, "{}", ended.talk);
        let ended = run(&dir, &["endpoint", action, "--target", "aws"], &[]);
        assert_eq!(ended.code, 1, "{}", ended.talk);
        assert!(ended.talk.contains("--target localstack"), "{}", ended.talk);
    }
}

#[test]
fn aws_without_a_region_says_so() {
    let dir = TempDir::new().unwrap();
    let ended = run(
        &dir,
        &["status", "--target", "aws"],
        &[("AWS_EC2_METADATA_DISABLED", "true")],
    );
    assert_eq!(ended.code, 1, "{}", ended.talk);
    assert!(
        ended.talk.contains("no AWS region is given") && ended.talk.contains("hint: name it with --region"),
        "{}",
        ended.talk
    );
}

#[test]
fn aws_at_an_endpoint_that_does_not_answer_is_not_tried_again_and_again() {
    let dir = TempDir::new().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (closed, silent_url) = (
        format!("http://127.0.0.1:{}", free_port()),
        format!("http://{}", silent.local_addr().unwrap()),
    );
    let signed = [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "eu-west-1"),
    ];
    for url in [closed, silent_url] {
        let ended = run(&dir, &["status", "--target", "aws", "--endpoint-url", &url], &signed);
        assert_eq!(ended.code, 1, "{}", ended.talk);
        assert!(
            ended.talk.contains("cannot be reached") && ended.talk.contains("hint: "),
            "{}",
            ended.talk
        );
    }
}
