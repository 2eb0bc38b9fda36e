//! A deployed system, inspected: status, outputs, logs, drift and doctor.
//!
//! It deploys a small system, so it is ignored by default: `scripts/test system` runs it.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::hello::hello;
use crate::support::{Project, eventually, text};

const GROUP: &str = "/ecs/hello-dev/hello";
/// The time limit of what usually takes a second.
const TIMEOUT: Duration = Duration::from_mins(1);

#[test]
#[ignore = "deploys a system; scripts/test runs it"]
fn a_deployed_system_is_inspected() {
    let project = hello();
    assert_eq!(project.run(&["up", "--yes"]).code, 0, "up failed");
    status_shows_versions_and_ages(&project);
    a_shell_reads_its_outputs(&project);
    logs_are_followed_over_streams_until_ctrl_c(&project);
    logs_end_silently_when_their_reader_ends(&project);
    a_resource_in_no_stack_is_drift(&project);
    doctor_finds_no_problem(&project);
    assert_eq!(project.run(&["destroy", "--yes"]).code, 0, "destroy failed");
}

fn status_shows_versions_and_ages(project: &Project) {
    let screen = project.run(&["status"]).out;
    assert!(screen.contains(&project.url()), "{screen}");
    let status = project.result(&["status"]);
    let version = &status["versions"][0];
    assert_eq!(version["service"], "hello");
    assert_eq!(version["running"], version["declared"]);
    let built = text(&version["built"]);
    assert!(
        !built.is_empty() && text(&version["running"]).ends_with(&built),
        "{version}"
    );
    let stacks = status["stacks"].as_array().unwrap();
    assert!(stacks.iter().all(|stack| stack["changed"].is_i64()), "{status}");
}

fn a_shell_reads_its_outputs(project: &Project) {
    let script = project.run(&["outputs", "--format", "env"]).out;
    let script = format!("{script}\nprintf '%s %s' \"$URL\" \"$NETWORK_VPC_ID\"");
    let output = Command::new("sh").args(["-euc", &script]).output().expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with(&format!("{} vpc-", project.url())), "{text}\n{script}");
    let json: Value =
        serde_json::from_str(&project.run(&["outputs", "--format", "json"]).out).expect("one JSON object");
    assert_eq!(json["url"], project.url());
}

/// `logs -f` in the background, and its lines.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn spawn(project: &Project) -> (Child, ChildStdout) {
        let mut command = project.command(&["logs", "-f", "--since", "1h"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("deployer runs");
        let out = child.stdout.take().expect("its stdout");
        (child, out)
    }

    fn start(project: &Project) -> Self {
        let (child, out) = Self::spawn(project);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(out)
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    fn wait_for(&self, message: &str) -> String {
        let end = Instant::now() + TIMEOUT;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if line.contains(message) {
                return line;
            }
        }
        panic!("`{message}` was not shown");
    }
}

fn logs_are_followed_over_streams_until_ctrl_c(project: &Project) {
    write_log(project, "one", "the first task says");
    let mut follower = Follower::start(project);
    let line = follower.wait_for("the first task says");
    assert!(
        line.contains(" hello | "),
        "no colours in a pipe, the service before the line: {line}"
    );
    // A task that replaces another one has its own stream.
    write_log(project, "two", "the second task says");
    follower.wait_for("the second task says");
    signal(&follower.child, "INT");
    assert_eq!(ended(&mut follower.child), Some(0), "Ctrl-C is the normal end");
    assert_eq!(
        follower.lines.iter().filter(|line| line.contains("task says")).count(),
        0,
        "each line once"
    );
}

fn logs_end_silently_when_their_reader_ends(project: &Project) {
    let (mut child, out) = Follower::spawn(project);
    let mut reader = BufReader::new(out);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    drop(reader);
    write_log(project, "three", "no reader is left");
    assert_eq!(ended(&mut child), Some(0));
}

fn a_resource_in_no_stack_is_drift(project: &Project) {
    assert!(project.has_no_drift(&[]));
    project.call(
        "Logs_20140328.CreateLogGroup",
        &json!({"logGroupName": "/ecs/hello-dev/ghost"}),
    );
    let repository = json!({"repositoryName": "hello-dev/ghost"});
    project.call("AmazonEC2ContainerRegistry_V20150921.CreateRepository", &repository);
    let drift = project.result(&["drift"]);
    let unmanaged = drift["unmanaged"].as_array().unwrap();
    let mut unmanaged: Vec<(&Value, &Value)> = unmanaged
        .iter()
        .map(|one| (&one["resource_type"], &one["id"]))
        .collect();
    unmanaged.sort_by_key(|(kind, _)| text(kind));
    assert_eq!(
        unmanaged,
        [
            (&json!("AWS::ECR::Repository"), &json!("hello-dev/ghost")),
            (&json!("AWS::Logs::LogGroup"), &json!("/ecs/hello-dev/ghost")),
        ]
    );
    assert_eq!(drift["unknown"], json!([]), "every place could be listed");
    project.call(
        "Logs_20140328.DeleteLogGroup",
        &json!({"logGroupName": "/ecs/hello-dev/ghost"}),
    );
    project.call("AmazonEC2ContainerRegistry_V20150921.DeleteRepository", &repository);
}

fn doctor_finds_no_problem(project: &Project) {
    let doctor = project.result(&["doctor"]);
    let checks = doctor.as_array().unwrap();
    for name in ["endpoint", "ingress port", "clock"] {
        let check = checks.iter().find(|check| check["check"] == name).expect(name);
        assert_eq!(check["level"], "ok", "{doctor}");
    }
}

fn write_log(project: &Project, stream: &str, message: &str) {
    let names = json!({"logGroupName": GROUP, "logStreamName": stream});
    project.call("Logs_20140328.CreateLogStream", &names);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock")
        .as_millis();
    let mut events = names;
    events["logEvents"] = json!([{"timestamp": u64::try_from(now).expect("milliseconds"), "message": message}]);
    project.call("Logs_20140328.PutLogEvents", &events);
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
}

/// Waits for the end; returns the exit code.
fn ended(child: &mut Child) -> Option<i32> {
    eventually("the process ends", TIMEOUT.as_secs(), || {
        child.try_wait().unwrap().is_some()
    });
    child.wait().unwrap().code()
}
