//! A deployed system, looked at and operated: status, outputs, logs, drift and doctor, as a person uses them.
//!
//! It deploys a small system to an endpoint of its own, so it is ignored unless asked for: `scripts/test system`.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::stranger::stranger;
use support::{Scratch, curl};

const GROUP: &str = "/ecs/hello-dev/hello";
/// How long anything may take that should take a second.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
#[ignore = "deploys a system; scripts/test runs it"]
fn a_deployed_system_is_looked_at_and_operated() {
    let scratch = stranger();
    assert_eq!(scratch.run(&["up", "--yes"]).code, 0, "up failed");
    status_tells_versions_and_ages(&scratch);
    a_shell_reads_its_outputs(&scratch);
    logs_are_followed_over_streams_until_ctrl_c(&scratch);
    a_follower_whose_reader_goes_ends_silently(&scratch);
    what_no_stack_declares_is_drift(&scratch);
    doctor_finds_nothing_wrong(&scratch);
    assert_eq!(scratch.run(&["destroy", "--yes"]).code, 0, "destroy failed");
}

fn status_tells_versions_and_ages(scratch: &Scratch) {
    let said = scratch.run(&["status"]);
    assert_eq!(said.code, 0);
    assert!(said.out.contains("as declared") && said.out.contains(" ago") && said.out.contains(&scratch.url()));
    let status = value(&scratch.run(&["status", "--json"]).out);
    let version = &status["versions"][0];
    assert_eq!(version["service"], "hello");
    assert_eq!(version["running"], version["declared"]);
    let built = version["built"].as_str().expect("it was built here");
    assert!(
        version["running"]
            .as_str()
            .is_some_and(|running| running.ends_with(built))
    );
}

fn a_shell_reads_its_outputs(scratch: &Scratch) {
    let script = scratch.run(&["outputs", "--format", "env"]).out;
    let script = format!("{script}\nprintf '%s %s' \"$URL\" \"$NETWORK_VPC_ID\"");
    let output = Command::new("sh").args(["-euc", &script]).output().expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with(&format!("{} vpc-", scratch.url())), "{text}\n{script}");
    let json: Value =
        serde_json::from_str(&scratch.run(&["outputs", "--format", "json"]).out).expect("one JSON object");
    assert_eq!(json["url"], scratch.url());
}

/// `logs -f` with its lines as they come.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn spawn(scratch: &Scratch) -> (Child, ChildStdout) {
        let mut command = scratch.command(&["logs", "-f", "--since", "1h"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("deployer runs");
        let out = child.stdout.take().expect("its stdout");
        (child, out)
    }

    fn start(scratch: &Scratch) -> Self {
        let (child, out) = Self::spawn(scratch);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(out)
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    fn wait_for(&self, words: &str) -> String {
        let end = Instant::now() + LIMIT;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if line.contains(words) {
                return line;
            }
        }
        panic!("`{words}` was not shown");
    }
}

fn logs_are_followed_over_streams_until_ctrl_c(scratch: &Scratch) {
    write_log(scratch, "one", "the first task says");
    let mut follower = Follower::start(scratch);
    let line = follower.wait_for("the first task says");
    assert!(
        line.contains(" hello | "),
        "no colours in a pipe, the service before the line: {line}"
    );
    // A task that replaces another one has a stream of its own.
    write_log(scratch, "two", "the second task says");
    follower.wait_for("the second task says");
    signal(&follower.child, "INT");
    assert_eq!(ended(&mut follower.child), Some(0), "Ctrl-C is how a person ends it");
    assert_eq!(
        follower.lines.iter().filter(|line| line.contains("task says")).count(),
        0,
        "each line once"
    );
}

fn a_follower_whose_reader_goes_ends_silently(scratch: &Scratch) {
    let (mut child, out) = Follower::spawn(scratch);
    let mut reader = BufReader::new(out);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    drop(reader);
    write_log(scratch, "three", "nobody reads this");
    assert_eq!(ended(&mut child), Some(0));
}

fn what_no_stack_declares_is_drift(scratch: &Scratch) {
    assert!(scratch.run(&["drift"]).out.contains("no drift"));
    call(
        scratch,
        "Logs_20140328.CreateLogGroup",
        &json!({"logGroupName": "/ecs/hello-dev/ghost"}),
    );
    let repository = json!({"repositoryName": "hello-dev/ghost"});
    call(
        scratch,
        "AmazonEC2ContainerRegistry_V20150921.CreateRepository",
        &repository,
    );
    let said = scratch.run(&["drift"]);
    assert_eq!(said.code, 0);
    assert!(
        said.out
            .contains("undeclared: /ecs/hello-dev/ghost (AWS::Logs::LogGroup)"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("undeclared: hello-dev/ghost (AWS::ECR::Repository)"),
        "{}",
        said.out
    );
    assert!(!said.out.contains("not looked at"), "{}", said.out);
    let drift = value(&scratch.run(&["drift", "--json"]).out);
    assert_eq!(drift["undeclared"].as_array().map(Vec::len), Some(2), "{drift}");
    call(
        scratch,
        "Logs_20140328.DeleteLogGroup",
        &json!({"logGroupName": "/ecs/hello-dev/ghost"}),
    );
    call(
        scratch,
        "AmazonEC2ContainerRegistry_V20150921.DeleteRepository",
        &repository,
    );
}

fn doctor_finds_nothing_wrong(scratch: &Scratch) {
    let said = scratch.run(&["doctor"]);
    assert!(said.out.contains("the embedded endpoint"), "{}", said.all);
    assert!(
        said.out.contains("the embedded endpoint's load balancer"),
        "{}",
        said.all
    );
    let checks = value(&scratch.run(&["doctor", "--json"]).out);
    let clock = checks
        .as_array()
        .and_then(|all| all.iter().find(|check| check["check"] == "clock"));
    assert_eq!(clock.map(|check| check["level"].clone()), Some("ok".into()), "{checks}");
}

/// The value of the one result among the lines.
fn value(lines: &str) -> Value {
    let mut lines = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let result = lines.find(|line| line["event"] == "result").expect("a result");
    result["value"].clone()
}

fn write_log(scratch: &Scratch, stream: &str, message: &str) {
    let names = json!({"logGroupName": GROUP, "logStreamName": stream});
    call(scratch, "Logs_20140328.CreateLogStream", &names);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock")
        .as_millis();
    let mut events = names;
    events["logEvents"] = json!([{"timestamp": now as u64, "message": message}]);
    call(scratch, "Logs_20140328.PutLogEvents", &events);
}

/// One AWS call in the JSON protocol, past deployer.
fn call(scratch: &Scratch, operation: &str, body: &Value) {
    let service = if operation.starts_with("Logs") { "logs" } else { "ecr" };
    let scope = format!(
        "authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let answer = curl(&[
        "-w",
        "\n%{http_code}",
        "-H",
        &format!("x-amz-target: {operation}"),
        "-H",
        "content-type: application/x-amz-json-1.1",
        "-H",
        &scope,
        "-d",
        &body.to_string(),
        &format!("http://127.0.0.1:{}/", scratch.endpoint),
    ]);
    assert!(answer.ends_with("\n200"), "{operation}: {answer}");
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
}

/// The exit code, once it has ended.
fn ended(child: &mut Child) -> Option<i32> {
    let end = Instant::now() + LIMIT;
    loop {
        match child.try_wait().expect("a child") {
            Some(status) => return status.code(),
            None if Instant::now() > end => {
                let _ = child.kill();
                return None;
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
