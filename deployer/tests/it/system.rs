//! The repository's platform from end to end: deployed, used, changed, broken, killed, and destroyed.
//!
//! It takes minutes and needs PostgreSQL and a broker, so it is ignored by default: `scripts/test system` runs it. Its endpoint
//! has its own port, state directory and loopback addresses, and its load balancer its own port.

use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::documents::{blocks, paste};
use crate::support::{Project, Run, curl, eventually, text};

const PROJECT: &str = "pms-test";

/// The repository's manifest under another name.
struct System(Project);

impl std::ops::Deref for System {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.0
    }
}

impl System {
    fn new() -> Self {
        let project = Project::from_repository(PROJECT);
        project.edit("deployer.toml", "port = 8080", &format!("port = {}", project.ingress));
        Self(project)
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

    /// The servers and tasks of the endpoint, without the endpoint itself and short-lived health checks.
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
    the_tour_of_the_documents_works(&system);
    two_at_once_are_refused(&system);
    a_change_is_previewed_and_applied(&system);
    a_service_that_exits_at_start_is_rolled_back(&system);
    kafka_changes_to_tls_and_iam(&system);
    it_survives_a_kill_of_the_endpoint(&system);
    it_is_destroyed_without_a_trace(&system);
}

fn it_is_deployed(system: &System) {
    let up = system.run(&["up", "--yes"]);
    assert_eq!(up.code, 0, "up failed");
    assert!(up.out.contains(&system.url()), "up prints the URL");
}

fn its_curl_lines_work(system: &System) {
    assert_eq!(system.run(&["outputs", "url"]).out.trim(), system.url());
    let manifest: toml::Table = toml::from_str(&std::fs::read_to_string(system.manifest()).unwrap()).unwrap();
    let lines = manifest["environments"]["dev"]["ingress"]["curl"].as_array().unwrap();
    let answers: Vec<Value> = lines
        .iter()
        .map(|line| {
            let pasted = line.as_str().unwrap().replace("{url}", &system.url());
            let output = Command::new("sh").args(["-c", &pasted]).output().unwrap();
            serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|_| panic!("`{pasted}` gave {:?}", Run::from(output).all()))
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
    let before = system.stack_events(&[]);
    assert_eq!(system.run(&["up", "--yes"]).code, 0);
    assert_eq!(system.stack_events(&[]), before);
    assert_eq!(
        system.run(&["diff", "--exit-code"]).code,
        0,
        "diff after up finds nothing"
    );
}

/// The commands of the tour, except the one that destroys the system. The one that does not end is stopped.
fn the_tour_of_the_documents_works(system: &System) {
    let block = |heading| blocks("docs/operations.md", heading).remove(0);
    let commands = block("A tour");
    let requests = block("How do I call the system?");
    let aws = block("How do I look into the endpoint with AWS's own tools?");
    // in a checkout the templates are beside the manifest
    assert_eq!(paste(system, PROJECT, "scripts/deployer synth").code, 0);
    for line in commands.lines().filter(|line| !line.contains("deployer destroy")) {
        let endless = line.contains("logs -f");
        let line = if endless {
            format!("timeout --signal INT 3 {line}")
        } else {
            line.to_owned()
        };
        let run = paste(system, PROJECT, &line);
        // 124: `timeout` stopped it
        assert_eq!(run.code, if endless { 124 } else { 0 }, "`{line}`");
    }
    let run = paste(system, PROJECT, &requests);
    assert_eq!(run.code, 0);
    for word in ["\"Ada Lovelace\"", "\"ageBands\""] {
        assert!(run.out.contains(word), "the responses contain {word}");
    }
    let run = paste(system, PROJECT, &aws);
    assert_eq!(run.code, 0, "the aws CLI succeeds");
    for word in [
        "CREATE_COMPLETE",
        "events",
        "serviceArns",
        "patient-service",
        "remove_bucket: shelf",
    ] {
        assert!(run.out.contains(word), "the aws CLI shows {word}");
    }
}

fn two_at_once_are_refused(system: &System) {
    system.edit(
        "[services.billing-service]",
        "[services.billing-service]\nlog_retention_days = 30",
    );
    let start = || {
        system
            .command(&["up", "--yes", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let both = [start(), start()].map(|child| Run::from(child.wait_with_output().unwrap()));
    let [done, refused] = if both[0].code == 0 {
        both
    } else {
        both.into_iter().rev().collect::<Vec<_>>().try_into().ok().unwrap()
    };
    println!(
        "\n$ deployer up twice at once   (exit {} and {})\n{}",
        done.code,
        refused.code,
        refused.all()
    );
    assert_eq!(done.code, 0, "one succeeds");
    refused.fails(1, "locked");
}

fn a_change_is_previewed_and_applied(system: &System) {
    system.edit(
        "[services.analytics-service]",
        "[services.analytics-service]\nmemory = 1024",
    );
    let diff = system.json(&["diff", "--exit-code"]);
    assert_eq!(diff.code, 2);
    let differences = diff.result();
    let stacks: Vec<String> = differences
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(&one["stack"]))
        .collect();
    assert_eq!(
        stacks,
        [format!("{PROJECT}-dev-analytics-service")],
        "no other stack changes"
    );
    let changes = differences[0]["changes"].as_array().unwrap();
    let task_definition = changes
        .iter()
        .find(|change| change["resource_type"] == "AWS::ECS::TaskDefinition")
        .unwrap();
    assert_eq!(task_definition["replacement"], "always");
    let properties = task_definition["properties"].as_array().unwrap();
    let memory = properties.iter().find(|property| property["name"] == "Memory").unwrap();
    assert_eq!((&memory["before"], &memory["after"]), (&"512".into(), &"1024".into()));
    assert_eq!(system.run(&["up", "--yes"]).code, 0);
    assert_eq!(system.run(&["diff", "--exit-code"]).code, 0, "everything is applied");
}

fn a_service_that_exits_at_start_is_rolled_back(system: &System) {
    let manifest = std::fs::read_to_string(system.manifest()).unwrap();
    let mail = "publishes = [\"patient.dlq\", \"audit\"]\nenvironment = { TOKEN_AUDIENCE = \"patient-management\", MAIL_TRANSPORT";
    system.edit(mail, &mail.replace("{ TOKEN", "{ DATABASE_TLS = \"nonsense\", TOKEN"));
    let up = system.json(&["up", "--yes"]);
    up.fails(4, "stack_failed");
    up.position("the stopped task with its exit code and its last log lines", |event| {
        event["event"] == "task_stopped" && event["exit_code"].is_i64() && event["log"].to_string().contains("nonsense")
    });
    std::fs::write(system.manifest(), manifest).unwrap();
    assert_eq!(system.run(&["up", "--yes"]).code, 0, "the former manifest is applied");
    assert_eq!(system.run(&["diff", "--exit-code"]).code, 0);
}

/// Changes the brokers, the rules, the roles and the services in one `up`.
fn kafka_changes_to_tls_and_iam(system: &System) {
    system.edit("security = \"plaintext\"", "security = \"msk-iam\"");
    let differences = system.result(&["diff"]).to_string();
    for word in ["msk-iam", "9098", "kafka-cluster:Connect"] {
        assert!(differences.contains(word), "diff names {word}");
    }
    assert_eq!(system.run(&["up", "--yes"]).code, 0);
    assert_eq!(system.run(&["diff", "--exit-code"]).code, 0);
    let brokers = format!("127.{}.2.1", system.loopback_octet());
    assert!(
        TcpStream::connect((brokers.as_str(), 9098)).is_ok(),
        "the IAM listener is open"
    );
    assert!(
        TcpStream::connect((brokers.as_str(), 9092)).is_err(),
        "the plaintext listener is closed"
    );
    let patient = create_patient(system, "Guarded Patient", "guarded@example.org");
    reaches_analytics(system, &patient);
}

/// Creates a patient; returns its id.
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

/// Waits until the event of a patient's creation has gone from one service to another through Kafka.
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
    assert_eq!(system.run(&["diff", "--exit-code"]).code, 0, "the stacks are unchanged");
    // running processes are adopted, not started twice
    eventually("the endpoint runs what it ran, and nothing else", 15, || {
        system.running() == before
    });
    // the brokers' IAM listener was part of the endpoint, and the services reconnect to the new one
    let patient = create_patient(system, "Later Patient", "later@example.org");
    reaches_analytics(system, &patient);
}

fn it_is_destroyed_without_a_trace(system: &System) {
    assert_eq!(system.run(&["destroy", "--yes"]).code, 0);
    eventually("no process is left", 15, || system.processes().is_empty());
    for port in [system.endpoint, system.ingress] {
        assert!(
            TcpStream::connect(("127.0.0.1", port)).is_err(),
            "port {port} is still open"
        );
    }
    assert!(!system.state().exists(), "the state directory is removed");
    assert_eq!(system.run(&["destroy", "--yes"]).code, 0, "nothing to do is success");
}
