//! `up` that is interrupted, killed, or started twice: what it reports, and that the next one succeeds.
//!
//! Each time the service's stack is in progress, which takes a while because the service starts to listen late.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::support::hello::hello;
use crate::support::{Project, curl, eventually, text};

/// An `up --json` in the background, with its events until now.
struct Up {
    child: Child,
    events: Arc<Mutex<Vec<Value>>>,
    reader: Option<JoinHandle<()>>,
}

impl Up {
    fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut command = project.command(&[arguments, &["--json"]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = events.clone();
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                println!("  | {line}");
                sink.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self {
            child,
            events,
            reader: Some(reader),
        }
    }

    /// The events of a kind until now.
    fn events(&self, kind: &str) -> Vec<Value> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| event["event"] == kind).cloned().collect()
    }

    /// Waits until CloudFormation works on the ECS service.
    fn until_the_service_is_in_progress(&self) {
        eventually("the service is in progress", 120, || {
            self.events("resource")
                .iter()
                .any(|event| event["resource"] == "Service")
        });
    }

    /// Sends SIGINT, and waits until it is reported.
    fn interrupt(&self) {
        let notes = self.events("note").len();
        self.signal("-INT");
        eventually("the interrupt is reported", 20, || self.events("note").len() > notes);
    }

    /// The notes until now. The one of an interrupt names the stacks that can be rolled back.
    fn notes(&self) -> String {
        self.events("note").iter().map(|note| text(&note["text"])).collect()
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the end; returns the exit code, `None` where a signal ended the process.
    fn end(&mut self, seconds: u64) -> Option<i32> {
        eventually("`up` ends", seconds, || self.child.try_wait().unwrap().is_some());
        self.reader.take().unwrap().join().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
#[ignore = "deploys; scripts/test system runs it"]
fn up_is_detached_rolled_back_refused_and_killed_and_the_next_one_completes() {
    let project = hello();
    project.edit(
        "hello/src/main.rs",
        "let variable =",
        "std::thread::sleep(std::time::Duration::from_secs(6));\n    let variable =",
    );
    two_interrupts_leave_the_operation_running(&project);
    set_level(&project, None, "1");
    a_second_up_is_refused_and_an_interrupt_cancels_the_update(&project);
    after_a_kill_the_next_up_takes_over_the_lock_at_once(&project);
    assert_eq!(project.run(&["destroy", "--yes"]).code, 0);
    assert!(!project.state().exists());
}

/// Changes the service's environment, which makes another revision of its task definition.
fn set_level(project: &Project, from: Option<&str>, to: &str) {
    let line = |value: &str| format!("environment = {{ LEVEL = \"{value}\" }}\n\n[environments.dev]");
    let from = from.map_or_else(|| "[environments.dev]".to_owned(), line);
    project.edit("deployer.toml", &from, &line(to));
}

fn two_interrupts_leave_the_operation_running(project: &Project) {
    let mut up = Up::start(project, &["up"]);
    up.until_the_service_is_in_progress();
    up.interrupt();
    assert!(
        up.notes().contains("hello-dev-hello"),
        "the stack that can be rolled back"
    );
    up.signal("-INT");
    assert_eq!(up.end(10), Some(130), "the second interrupt ends it");
    let error = up.events("error").remove(0);
    assert_eq!(error["code"], "interrupted");
    assert!(
        text(&error["hint"]).contains("`deployer up`"),
        "how to continue: {error}"
    );
    let next = project.json(&["up", "--yes"]);
    assert!(
        next.code == 0 && curl(&[&project.url()]) == "hello",
        "the next one completes"
    );
    let deletes = |event: &Value| event["event"] == "stack" && event["action"] == "delete";
    assert!(!next.events().iter().any(deletes), "and continues the creation");
}

fn a_second_up_is_refused_and_an_interrupt_cancels_the_update(project: &Project) {
    let mut up = Up::start(project, &["up", "--yes"]);
    up.until_the_service_is_in_progress();
    let second = project.json(&["up", "--yes"]);
    second.fails(1, "locked");
    let holder = format!("(pid {})", up.child.id());
    assert!(
        text(&second.error()["message"]).contains(&holder),
        "the holder of the lock"
    );
    // `--yes` confirms the rollback that the first interrupt offers
    up.interrupt();
    assert_eq!(up.end(90), Some(130));
    assert!(up.notes().contains("hello-dev-hello"));
    assert!(
        up.events("stack_ended")
            .iter()
            .any(|event| event["status"] == "UPDATE_ROLLBACK_COMPLETE")
    );
    assert_eq!(curl(&[&project.url()]), "hello", "the former version still serves");
    assert_eq!(
        project.run(&["diff", "--exit-code"]).code,
        2,
        "the change is not applied"
    );
}

fn after_a_kill_the_next_up_takes_over_the_lock_at_once(project: &Project) {
    let mut up = Up::start(project, &["up", "--yes"]);
    up.until_the_service_is_in_progress();
    up.signal("-KILL");
    assert_eq!(up.end(10), None);
    let next = project.run(&["up", "--yes"]);
    assert!(
        next.code == 0 && next.out.contains(&project.url()),
        "the lock of a dead process does not block: the next one completes"
    );
    assert_eq!(
        project.run(&["diff", "--exit-code"]).code,
        0,
        "and everything is applied"
    );
}
