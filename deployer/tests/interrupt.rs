//! `up` that is interrupted, killed, or asked for twice: what it says, and that the next one ends well.
//!
//! Each time the service's stack is under way, which takes a while because the service listens late.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::stranger::stranger;
use support::{Scratch, curl};

/// An `up` in the background, with what it has said until now.
struct Up {
    child: Child,
    said: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Up {
    fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        let mut command = scratch.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(String::new()));
        let to = said.clone();
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                println!("  | {line}");
                to.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Self {
            child,
            said,
            reader: Some(reader),
        }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    fn until(&self, words: &str) {
        let end = Instant::now() + Duration::from_secs(120);
        while !self.said().contains(words) {
            assert!(Instant::now() < end, "it never said `{words}`:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Its exit code, none when a signal ended it; and how long it took to end.
    fn end(&mut self, seconds: u64) -> Option<i32> {
        let end = Instant::now() + Duration::from_secs(seconds);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > end {
                let _ = self.child.kill();
                panic!("it did not end within {seconds} s:\n{}", self.said());
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        self.reader.take().unwrap().join().unwrap();
        status.code()
    }
}

#[test]
#[ignore = "deploys; scripts/test system runs it"]
fn up_is_left_running_undone_refused_and_killed_and_the_next_one_completes() {
    let scratch = stranger();
    scratch.edit(
        "hello/src/main.rs",
        "let variable =",
        "std::thread::sleep(std::time::Duration::from_secs(6));\n    let variable =",
    );
    two_interrupts_leave_it_running(&scratch);
    level(&scratch, None, "1");
    a_second_one_is_refused_and_an_interrupt_undoes_the_first(&scratch);
    after_a_kill_the_next_takes_the_lock_over_at_once(&scratch);
    assert_eq!(scratch.run(&["destroy", "--yes"]).code, 0);
    assert!(!scratch.state().exists());
}

/// Gives the service another environment, which makes another revision of its task definition.
fn level(scratch: &Scratch, from: Option<&str>, to: &str) {
    let line = |value: &str| format!("environment = {{ LEVEL = \"{value}\" }}\n\n[environments.dev]");
    let from = from.map_or_else(|| "[environments.dev]".to_owned(), line);
    scratch.edit("deployer.toml", &from, &line(to));
}

fn two_interrupts_leave_it_running(scratch: &Scratch) {
    let mut up = Up::start(scratch, &["up"]);
    up.until("AWS::ECS::Service");
    up.signal("-INT");
    up.until("Ctrl-C again leaves it running");
    assert!(
        up.said().contains("hello-dev-hello (delete what is being created)"),
        "it says what can be undone"
    );
    up.signal("-INT");
    assert_eq!(up.end(10), Some(130), "the second one ends it");
    let said = up.said();
    assert!(
        said.contains("CloudFormation has begun goes on") && said.contains("`deployer up` takes it up again"),
        "it says how to come back"
    );
    let next = scratch.run(&["up", "--yes"]);
    assert!(
        next.code == 0 && curl(&[&scratch.url()]) == "hello",
        "the next one completes"
    );
    assert!(!next.all.contains("removing"), "and takes up what was begun");
}

fn a_second_one_is_refused_and_an_interrupt_undoes_the_first(scratch: &Scratch) {
    let mut up = Up::start(scratch, &["up", "--yes"]);
    up.until("AWS::ECS::Service");
    let second = scratch.run(&["up", "--yes"]);
    let holder = format!("(pid {})", up.child.id());
    assert!(
        second.code == 1 && second.all.contains("lock is held by") && second.all.contains(&holder),
        "the second one is told who holds the lock"
    );
    // `--yes` answers the offer.
    up.signal("-INT");
    assert_eq!(up.end(90), Some(130));
    let said = up.said();
    assert!(said.contains("hello-dev-hello (cancel its update)") && said.contains("UPDATE_ROLLBACK_COMPLETE"));
    assert_eq!(curl(&[&scratch.url()]), "hello", "what was there is still there");
    assert_eq!(
        scratch.run(&["diff", "--exit-code"]).code,
        2,
        "the change is not applied"
    );
}

fn after_a_kill_the_next_takes_the_lock_over_at_once(scratch: &Scratch) {
    let mut up = Up::start(scratch, &["up", "--yes"]);
    up.until("AWS::ECS::Service");
    up.signal("-KILL");
    assert_eq!(up.end(10), None);
    let next = scratch.run(&["up", "--yes"]);
    assert!(
        next.all.contains("taking over the lock"),
        "a dead holder is not waited for"
    );
    assert!(
        next.code == 0 && next.out.contains(&scratch.url()),
        "the next one completes"
    );
    assert_eq!(
        scratch.run(&["diff", "--exit-code"]).code,
        0,
        "and nothing is left to do"
    );
}
