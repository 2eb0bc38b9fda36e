//! Rollouts that move requests in steps, seen by a client that never stops: a canary that succeeds, one that an alarm stops, one
//! in which the endpoint dies, and the way back to a rolling update.
//!
//! It deploys a small system, so it is ignored by default: `scripts/test system` runs it. A minute of a step takes a second.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::hello::hello;
use crate::support::{Project, Run, curl, eventually, text};

const CANARY: &str = "rollout = { strategy = \"canary\", percent = 20, step_minutes = 6, bake_minutes = 3 }\n";

/// A client that sends one request after the other.
struct Client {
    answers: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    fn start(url: String) -> Self {
        let (answers, stop) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let thread = std::thread::spawn({
            let (answers, stop) = (answers.clone(), stop.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = curl(&[&url]);
                    answers.lock().push(answer);
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        let thread = Some(thread);
        Self { answers, stop, thread }
    }

    fn has_seen(&self, answer: &str) -> bool {
        self.answers.lock().iter().any(|seen| seen == answer)
    }

    /// Returns all answers, in their order.
    fn end(mut self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        std::mem::take(&mut *self.answers.lock())
    }
}

#[test]
#[ignore = "deploys a system; scripts/test runs it"]
fn a_canary_moves_requests_in_steps_and_an_alarm_moves_them_back() {
    let project = hello();
    project.edit("deployer.toml", "ports = {", &format!("{CANARY}ports = {{"));
    assert_eq!(project.run(&["up", "--yes"]).code, 0, "up failed");
    a_canary_succeeds(&project);
    an_alarm_stops_it(&project);
    it_is_repeated_after_the_endpoint_has_died(&project);
    its_end_is_refused_while_the_other_target_group_serves(&project);
    assert_eq!(project.run(&["destroy", "--yes"]).code, 0, "destroy failed");
}

fn say(project: &Project, from: &str, to: &str) {
    project.edit("hello/src/main.rs", &format!("n{from}\""), &format!("n{to}\""));
}

/// Returns the percentages of the movement in their order, each once.
fn percentages(run: &Run) -> Vec<u64> {
    let events = run.events().into_iter();
    let mut found: Vec<u64> = events
        .filter_map(|event| event["rollout"]["traffic"]["percent"].as_u64())
        .collect();
    found.dedup();
    found
}

fn a_canary_succeeds(project: &Project) {
    say(project, "hello", "hullo");
    let client = Client::start(project.url());
    let run = project.json(&["up", "--yes"]);
    let answers = client.end();
    assert_eq!(run.code, 0, "{}", run.all());
    assert_eq!(percentages(&run), [0, 20, 100]);
    run.position("the bake time", |event| {
        event["rollout"]["traffic"]["stage"] == "BAKE_TIME" && event["rollout"]["traffic"]["minutes"] == 3
    });
    let first = answers
        .iter()
        .position(|answer| answer == "hullo")
        .expect("the new version");
    let last = answers
        .iter()
        .rposition(|answer| answer == "hello")
        .expect("the old version");
    let both = &answers[first..last];
    let new = both.iter().filter(|answer| *answer == "hullo").count();
    assert!(new * 2 < both.len(), "{new} of {} were the canary's", both.len());
    assert!(
        answers.iter().all(|answer| answer == "hello" || answer == "hullo"),
        "a request failed"
    );
    assert_eq!(curl(&[&project.url()]), "hullo");
    assert!(project.has_no_drift(&[]), "weights that ECS has moved are no drift");
}

fn an_alarm_stops_it(project: &Project) {
    say(project, "hullo", "hallo");
    let client = Client::start(project.url());
    let up = start(project, &["up", "--yes", "--json"]);
    eventually("the canary answers", 120, || client.has_seen("hallo"));
    set_alarm(project, "ServerErrorAlarm", "ALARM");
    let run = ended(up);
    run.fails(4, "stack_failed");
    assert!(
        text(&run.error()["message"]).contains("ServerErrorAlarm"),
        "{}",
        run.all()
    );
    let answers = client.end();
    assert!(
        answers.iter().all(|answer| answer == "hullo" || answer == "hallo"),
        "a request failed"
    );
    assert!((0..20).all(|_| curl(&[&project.url()]) == "hullo"));
    let status = project.result(&["status"]);
    assert_eq!(status["services"][0]["rollout"], "COMPLETED");
    set_alarm(project, "ServerErrorAlarm", "OK");
}

fn it_is_repeated_after_the_endpoint_has_died(project: &Project) {
    let up = start(project, &["up", "--yes", "--json"]);
    let canary = || curl(&[&project.url()]) == "hallo";
    eventually("the canary answers", 120, canary);
    let is_endpoint = |process: &&String| process.contains("--foreground");
    let processes = project.processes();
    let endpoint = processes.iter().find(is_endpoint).expect("the endpoint");
    let pid = endpoint.split(' ').next().unwrap();
    let killed = std::process::Command::new("kill").args(["-9", pid]).status();
    assert!(killed.unwrap().success());
    eventually("its end", 20, || !project.processes().contains(endpoint));
    assert_eq!(project.run(&["endpoint", "start"]).code, 0);
    // The endpoint fails the operation that it was in: the stack and the requests go back, and the next run moves them.
    ended(up).fails(4, "stack_failed");
    assert!((0..20).all(|_| curl(&[&project.url()]) == "hullo"));
    let run = project.json(&["up", "--yes"]);
    assert_eq!(run.code, 0, "{}", run.all());
    assert_eq!(percentages(&run), [0, 20, 100]);
    assert!((0..20).all(|_| curl(&[&project.url()]) == "hallo"));
}

/// Each rollout that is complete moves the requests to the other target group: those of the canary, of the rollback after the
/// endpoint's end, and of its repetition were three, so that the second group serves.
fn its_end_is_refused_while_the_other_target_group_serves(project: &Project) {
    let rule = "rollout = \"rolling\"\n";
    project.edit("deployer.toml", CANARY, rule);
    let refused = project.json(&["up", "--yes"]);
    refused.fails(1, "preflight");
    assert!(
        text(&refused.error()["message"]).contains("ListenerRule"),
        "{}",
        refused.all()
    );
    force_deployment(project);
    eventually("its rollout", 60, || {
        project.result(&["status"])["services"][0]["rollout"] == "COMPLETED"
    });
    let client = Client::start(project.url());
    assert_eq!(project.run(&["up", "--yes"]).code, 0);
    assert!(client.end().iter().all(|answer| answer == "hallo"), "a request failed");
}

fn start(project: &Project, arguments: &[&str]) -> Child {
    let mut command = project.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child) -> Run {
    Run::from(child.wait_with_output().unwrap())
}

/// Calls AWS as its CLI does.
fn call(project: &Project, service: &str, arguments: &[&str]) -> String {
    let scope = format!(
        "authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let url = format!("http://127.0.0.1:{}/", project.endpoint);
    curl(&[&["-H", &scope], arguments, &[&url]].concat())
}

/// Sets the state of the alarm of this logical ID, as `aws cloudwatch set-alarm-state` does.
fn set_alarm(project: &Project, logical_id: &str, state: &str) {
    let listed = call(
        project,
        "monitoring",
        &["-d", "Action=DescribeAlarms&Version=2010-08-01"],
    );
    let names = listed
        .split("<AlarmName>")
        .skip(1)
        .filter_map(|rest| rest.split('<').next());
    let mut own = names.filter(|name| name.contains(&format!("-hello-{logical_id}")));
    let name = own.next().unwrap_or_else(|| panic!("no alarm {logical_id}: {listed}"));
    let form = format!("Action=SetAlarmState&Version=2010-08-01&AlarmName={name}&StateValue={state}&StateReason=test");
    let answer = call(project, "monitoring", &["-d", &form]);
    assert!(answer.contains("SetAlarmStateResponse"), "{answer}");
}

fn force_deployment(project: &Project) {
    let body = json!({ "cluster": "hello-dev", "service": "hello", "forceNewDeployment": true });
    let target = "x-amz-target: AmazonEC2ContainerServiceV20141113.UpdateService";
    let kind = "content-type: application/x-amz-json-1.1";
    let answer = call(project, "ecs", &["-H", target, "-H", kind, "-d", &body.to_string()]);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        answer["service"]["deployments"][0]["rolloutState"], "IN_PROGRESS",
        "{answer}"
    );
}
