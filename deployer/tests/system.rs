//! The main job, end to end: a system is deployed, used, changed, broken, killed, and destroyed, as a person would do it.
//!
//! It takes minutes and needs PostgreSQL and a broker, so it is ignored unless asked for: `scripts/test system`. Its
//! endpoint has a port, a state directory and a loopback slice of its own, and its load balancer a port of its own.

mod support;

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::readme::{blocks, paste};
use support::{Said, Scratch, curl, eventually};

/// The project's own manifest under another name, and what a person would do with it.
struct System(Scratch);

impl std::ops::Deref for System {
    type Target = Scratch;

    fn deref(&self) -> &Scratch {
        &self.0
    }
}

impl System {
    fn new() -> Self {
        let scratch = Scratch::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
        std::fs::copy(root.join("deployer.toml"), scratch.manifest()).unwrap();
        scratch.edit("deployer.toml", "name = \"patient-management\"", "name = \"pms-test\"");
        scratch.edit("deployer.toml", "workspace = \".\"", &format!("workspace = {root:?}"));
        scratch.edit("deployer.toml", "port = 8080", &format!("port = {}", scratch.ingress));
        Self(scratch)
    }

    fn edit(&self, from: &str, to: &str) {
        self.0.edit("deployer.toml", from, to);
    }

    fn token(&self) -> String {
        let body = r#"{"email":"testuser@test.com","password":"password123"}"#;
        let answer = curl(&[
            "-X",
            "POST",
            "-H",
            "Content-Type: application/json",
            "-d",
            body,
            &format!("{}/auth/login", self.url()),
        ]);
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("no login: {answer}"));
        answer["token"].as_str().expect("a token").to_owned()
    }

    /// The servers and tasks among them: without the endpoint itself and the health checks that come and go.
    fn running(&self) -> Vec<String> {
        let lasting = |line: &String| !line.contains("endpoint start") && !line.trim_end().ends_with(" health");
        self.processes().into_iter().filter(lasting).collect()
    }
}

#[test]
#[ignore = "deploys a whole system; scripts/test runs it"]
fn a_system_is_deployed_used_changed_broken_killed_and_destroyed() {
    let system = System::new();
    it_is_deployed(&system);
    its_curl_lines_work(&system);
    a_second_up_changes_nothing(&system);
    the_readmes_tour_works(&system);
    two_at_once_are_refused(&system);
    a_change_is_previewed_and_applied(&system);
    a_service_that_exits_at_start_is_rolled_back(&system);
    it_turns_to_tls_and_iam_for_kafka(&system);
    it_survives_a_kill_of_the_endpoint(&system);
    it_is_destroyed_without_a_trace(&system);
}

fn it_is_deployed(system: &System) {
    let said = system.run(&["up", "--yes"]);
    assert_eq!(said.code, 0, "up failed");
    assert!(said.all.contains(&system.url()), "up prints the URL");
}

fn its_curl_lines_work(system: &System) {
    let said = system.run(&["outputs", "url"]);
    assert_eq!(said.out.trim(), system.url());
    let manifest: toml::Table = toml::from_str(&std::fs::read_to_string(system.manifest()).unwrap()).unwrap();
    let lines = manifest["environments"]["dev"]["ingress"]["curl"].as_array().unwrap();
    let answers: Vec<Value> = lines
        .iter()
        .map(|line| {
            let pasted = line.as_str().unwrap().replace("{url}", &system.url());
            let output = Command::new("sh").args(["-c", &pasted]).output().unwrap();
            serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|_| panic!("`{pasted}` gave {:?}", Said::from(output).all))
        })
        .collect();
    assert!(answers[0]["token"].is_string(), "the first line logs in");
    assert_eq!(
        answers[1].as_array().map(Vec::len),
        Some(3),
        "the second line lists patients"
    );
}

fn a_second_up_changes_nothing(system: &System) {
    let before = system.run(&["events"]).out;
    assert_eq!(system.run(&["up", "--yes"]).code, 0);
    assert_eq!(system.run(&["events"]).out, before, "a second up makes no event");
    let said = system.run(&["diff", "--exit-code"]);
    assert_eq!(said.code, 0, "diff after up finds nothing");
}

/// The tour's commands as they stand, but for the one that never ends and the one that ends all.
fn the_readmes_tour_works(system: &System) {
    let blocks = blocks("A tour");
    let [commands, requests, aws] = blocks.as_slice() else {
        panic!("the tour has {} blocks of commands instead of 3", blocks.len());
    };
    // what is committed beside the manifest in a checkout
    assert_eq!(paste(system, "pms-test", "scripts/deployer synth").code, 0);
    for line in commands.lines().filter(|line| !line.contains("deployer destroy")) {
        let endless = line.contains("logs -f");
        let line = if endless {
            format!("timeout --signal INT 3 {line}")
        } else {
            line.to_owned()
        };
        let said = paste(system, "pms-test", &line);
        // 124: timeout had to end it
        assert_eq!(said.code, if endless { 124 } else { 0 }, "`{line}`");
    }
    let said = paste(system, "pms-test", requests);
    assert_eq!(said.code, 0);
    for word in ["\"Ada Lovelace\"", "\"ageBands\""] {
        assert!(said.out.contains(word), "the answers show {word}");
    }
    let said = paste(system, "pms-test", aws);
    assert_eq!(said.code, 0, "the aws CLI is answered");
    for word in [
        "CREATE_COMPLETE",
        "events",
        "serviceArns",
        "patient-service",
        "remove_bucket: shelf",
    ] {
        assert!(said.out.contains(word), "the aws CLI shows {word}");
    }
}

fn two_at_once_are_refused(system: &System) {
    system.edit(
        "[services.billing-service]",
        "[services.billing-service]\nlog_retention_days = 30",
    );
    let start = || {
        system
            .command(&["up", "--yes"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let both = [start(), start()].map(|child| Said::from(child.wait_with_output().unwrap()));
    let [done, refused] = if both[0].code == 0 {
        both
    } else {
        both.into_iter().rev().collect::<Vec<_>>().try_into().ok().unwrap()
    };
    println!(
        "\n$ deployer up twice at once   (exit {} and {})\n{}",
        done.code, refused.code, refused.all
    );
    assert_eq!(
        (done.code, refused.code),
        (0, 1),
        "one goes to its end, the other is refused"
    );
    assert!(
        refused.all.contains("lock is held by"),
        "and is told who holds the lock"
    );
}

fn a_change_is_previewed_and_applied(system: &System) {
    system.edit(
        "[services.analytics-service]",
        "[services.analytics-service]\nmemory = 1024",
    );
    let said = system.run(&["diff", "--exit-code"]);
    assert_eq!(said.code, 2);
    for word in ["TaskDefinition", "Memory", "512", "1024"] {
        assert!(said.all.contains(word), "diff names {word}");
    }
    assert!(
        said.all.to_lowercase().contains("replace"),
        "diff says that the task definition is replaced"
    );
    assert!(!said.all.contains("patient-service/"), "diff names what changes alone");
    assert_eq!(system.run(&["up", "--yes"]).code, 0);
    assert_eq!(
        system.run(&["diff", "--exit-code"]).code,
        0,
        "then there is nothing left to do"
    );
}

fn a_service_that_exits_at_start_is_rolled_back(system: &System) {
    let manifest = std::fs::read_to_string(system.manifest()).unwrap();
    system.edit("[services.notification-service]", "[services.notification-service]\nenvironment = { TOKEN_AUDIENCE = \"patient-management\", DATABASE_TLS = \"nonsense\" }");
    let text = std::fs::read_to_string(system.manifest()).unwrap();
    let second = text
        .rfind("environment = { TOKEN_AUDIENCE = \"patient-management\" }")
        .unwrap();
    let mut text = text;
    text.replace_range(second.., text[second..].split_once('\n').unwrap().1.to_owned().as_str());
    std::fs::write(system.manifest(), text).unwrap();
    let said = system.run(&["up", "--yes"]);
    assert_eq!(said.code, 4, "failed and rolled back");
    assert!(said.all.contains("nonsense"), "its last log lines are in the failure");
    assert!(said.all.contains("exit code"), "its exit code is in the failure");
    std::fs::write(system.manifest(), manifest).unwrap();
    assert_eq!(system.run(&["up", "--yes"]).code, 0, "the former manifest is what runs");
    assert_eq!(system.run(&["diff", "--exit-code"]).code, 0);
}

/// In place, as a team would: the brokers, the rules, the roles and the services change in one `up`.
fn it_turns_to_tls_and_iam_for_kafka(system: &System) {
    system.edit("security = \"plaintext\"", "security = \"msk-iam\"");
    let said = system.run(&["diff"]);
    for word in ["msk-iam", "9098", "kafka-cluster:Connect"] {
        assert!(said.all.contains(word), "diff names {word}");
    }
    assert_eq!(system.run(&["up", "--yes"]).code, 0);
    assert_eq!(system.run(&["diff", "--exit-code"]).code, 0);
    let brokers = format!("127.{}.2.1", 20 + system.endpoint % 200);
    assert!(TcpStream::connect((brokers.as_str(), 9098)).is_ok(), "the door is open");
    assert!(
        TcpStream::connect((brokers.as_str(), 9092)).is_err(),
        "plaintext is off"
    );
    let patient = create_patient(system, "Guarded Patient", "guarded@example.org");
    reaches_analytics(system, &patient);
}

/// The id of a new patient.
fn create_patient(system: &System, name: &str, email: &str) -> String {
    let body = serde_json::json!({"name": name, "email": email, "address": "1 Main St", "dateOfBirth": "1980-02-03"});
    let made = curl(&[
        "-X",
        "POST",
        "-H",
        &format!("Authorization: Bearer {}", system.token()),
        "-H",
        "Content-Type: application/json",
        "-d",
        &body.to_string(),
        &format!("{}/api/patients", system.url()),
    ]);
    let made: Value = serde_json::from_str(&made).unwrap_or_else(|_| panic!("no patient: {made}"));
    made["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id: {made}"))
        .to_owned()
}

/// The event of a patient's creation goes from one service to another by Kafka.
fn reaches_analytics(system: &System, patient: &str) {
    let authorization = format!("Authorization: Bearer {}", system.token());
    let events = format!("{}/api/analytics/events?patientId={patient}", system.url());
    eventually("the event reaches analytics", 60, || {
        curl(&["-H", &authorization, &events]).contains("PATIENT_CREATED")
    });
}

fn it_survives_a_kill_of_the_endpoint(system: &System) {
    let authorization = format!("Authorization: Bearer {}", system.token());
    let patients = format!("{}/api/patients", system.url());
    create_patient(system, "Kept Patient", "kept@example.org");
    let before = system.running();

    let pid = std::fs::read_to_string(system.state().join("endpoint.pid")).expect("the endpoint's pid");
    let killed = Command::new("kill").args(["-9", pid.trim()]).status().unwrap();
    assert!(killed.success());
    eventually("the endpoint's port is closed", 10, || {
        TcpStream::connect(("127.0.0.1", system.endpoint)).is_err()
    });
    assert_eq!(system.run(&["endpoint", "start"]).code, 0);

    eventually("the load balancer answers again", 60, || {
        curl(&["-H", &authorization, &format!("{patients}?search=kept@example.org")]).contains("Kept Patient")
    });
    assert_eq!(system.run(&["diff", "--exit-code"]).code, 0, "the stacks are there");
    // what ran is adopted, not started twice
    eventually("the endpoint runs what it ran, and nothing else", 15, || {
        system.running() == before
    });
    // the brokers' door was the endpoint's own, and the services come back to the new one
    let patient = create_patient(system, "Later Patient", "later@example.org");
    reaches_analytics(system, &patient);
}

fn it_is_destroyed_without_a_trace(system: &System) {
    let said = system.run(&["destroy", "--yes"]);
    assert_eq!(said.code, 0);
    eventually("no process is left", 15, || system.processes().is_empty());
    for port in [system.endpoint, system.ingress] {
        assert!(
            TcpStream::connect(("127.0.0.1", port)).is_err(),
            "port {port} is still open"
        );
    }
    assert!(!system.state().exists(), "the state directory is gone");
    assert_eq!(
        system.run(&["destroy", "--yes"]).code,
        0,
        "destroying nothing is success"
    );
}
