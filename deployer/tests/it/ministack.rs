//! The same commands against ministack, an endpoint of another project.
//!
//! Ignored by default, because it needs ministack on PATH and the compiled services: `scripts/test ministack`. It does not use
//! Docker, so that the result is the same everywhere: the stacks are complete, and no task runs.

use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::support::{Project, Run, curl, eventually, free_port, text};

/// A ministack process with its own port, ended with the test, and this repository's manifest.
struct Ministack {
    project: Project,
    url: String,
    process: Child,
}

impl Ministack {
    fn start() -> Self {
        let project = Project::from_repository("pms-mini");
        let port = free_port();
        let log = std::fs::File::create(project.path().join("ministack.log")).unwrap();
        let process = Command::new("ministack")
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("STATE_DIR", project.path().join("ministack"))
            .envs([("IOT_MTLS_ENABLED", "0"), ("SFTP_ENABLED", "0"), ("PERSIST_STATE", "0")])
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            .current_dir(project.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("ministack is on PATH: scripts/test ministack installs it");
        let url = format!("http://127.0.0.1:{port}");
        let ministack = Self { project, url, process };
        eventually("ministack answers", 60, || {
            curl(&[&format!("{}/_ministack/health", ministack.url)]).contains("services")
        });
        ministack
    }

    fn edit(&self, from: &str, to: &str) {
        self.project.edit("deployer.toml", from, to);
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.project.run(&[arguments, &["--endpoint-url", &self.url]].concat())
    }

    fn json(&self, arguments: &[&str]) -> Run {
        self.run(&[arguments, &["--json"]].concat())
    }

    fn applies_everything(&self) {
        assert_eq!(self.run(&["diff", "--exit-code"]).code, 0);
    }

    fn has_stacks(&self) -> bool {
        let status = self.json(&["status"]).result();
        status["stacks"].to_string().contains("_COMPLETE")
    }

    /// Deletes a log group behind CloudFormation's back.
    fn delete_log_group(&self, name: &str) {
        let answer = curl(&[
            "-X",
            "POST",
            "-H",
            "X-Amz-Target: Logs_20140328.DeleteLogGroup",
            "-H",
            "Content-Type: application/x-amz-json-1.1",
            "-H",
            "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/logs/aws4_request, SignedHeaders=host, Signature=0",
            "-d",
            &format!("{{\"logGroupName\":\"{name}\"}}"),
            &self.url,
        ]);
        assert!(!answer.contains("__type"), "{answer}");
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs ministack and the compiled services: scripts/test ministack"]
fn a_platform_is_deployed_changed_and_destroyed_on_ministack() {
    let ministack = Ministack::start();

    // a type that it does not have is named before anything changes, with the way around it
    let refused = ministack.json(&["up", "--yes"]);
    refused.fails(1, "unsupported_types");
    let error = refused.error();
    assert!(text(&error["message"]).contains("AWS::MSK::Cluster"), "{error}");
    assert!(text(&error["hint"]).contains("kafka.bootstrap"), "{error}");
    assert!(!ministack.has_stacks());

    // the stacks are complete, and no task runs
    ministack.edit("[kafka]\n", "[kafka]\nbootstrap = \"127.0.0.1:9092\"\n");
    let up = ministack.json(&["up", "--yes"]);
    up.fails(6, "nothing_runs");
    for omitted in [
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::NatGateway",
    ] {
        assert!(up.all().contains(omitted), "{omitted} is reported");
    }
    let error = up.error();
    assert!(text(&error["message"]).contains("PatientDatabase"), "{error}");
    assert!(
        text(&error["hint"]).contains("Docker"),
        "what it would need to run them: {error}"
    );

    let again = ministack.json(&["up", "--yes", "--stacks-only"]);
    assert_eq!(again.code, 0);
    assert_eq!(again.result(), json!({ "url": null, "changed": 0, "restarted": [] }));
    ministack.applies_everything();

    ministack.edit(
        "AUTH_ADMIN_EMAIL = \"admin@example.org\"",
        "AUTH_ADMIN_EMAIL = \"root@example.org\"",
    );
    let diff = ministack.json(&["diff", "--exit-code"]);
    assert_eq!(diff.code, 2);
    let differences = diff.result().to_string();
    assert!(differences.contains("admin@example.org") && differences.contains("root@example.org"));
    assert!(!differences.contains("SecurityGroup"), "{differences}");
    let update = ministack.json(&["up", "--yes", "--stacks-only"]);
    assert_eq!(update.code, 0);
    assert_eq!(update.result()["changed"], 1);
    ministack.applies_everything();

    // a template that is too large for a request is uploaded to ministack's own S3
    let variables: Vec<String> = (0..500)
        .map(|n| format!("SETTING_{n:03} = \"{}\", ", "x".repeat(70)))
        .collect();
    ministack.edit(
        "environment = { TOKEN_AUDIENCE",
        &format!("environment = {{ {} TOKEN_AUDIENCE", variables.concat()),
    );
    assert_eq!(ministack.run(&["up", "--yes", "--stacks-only"]).code, 0);
    ministack.applies_everything();

    assert_eq!(ministack.json(&["drift"]).result()["drifted"], json!([]));
    ministack.delete_log_group("/ecs/pms-mini-dev/billing-service");
    let drift = ministack.json(&["drift"]).result();
    let deleted = &drift["drifted"][0];
    assert_eq!(
        (&deleted["stack"], &deleted["resource"], &deleted["status"]),
        (
            &json!("pms-mini-dev-billing-service"),
            &json!("LogGroup"),
            &json!("DELETED")
        ),
        "{drift}"
    );

    let doctor = ministack.json(&["doctor"]).result();
    let checks = doctor.as_array().unwrap();
    let endpoint = checks.iter().find(|check| check["check"] == "endpoint").unwrap();
    assert!(text(&endpoint["found"]).contains("ministack light"), "{doctor}");
    assert!(
        checks
            .iter()
            .any(|check| check["check"] == "capability" && text(&check["found"]).contains("Docker")),
        "{doctor}"
    );

    let plan = ministack.json(&["destroy", "--dry-run"]).result();
    assert!(
        plan["orphans"].to_string().contains("deployer-templates-"),
        "the bucket was used, and is empty: {plan}"
    );
    assert_eq!(ministack.run(&["destroy", "--yes"]).code, 0);
    assert!(!ministack.has_stacks());
    assert_eq!(ministack.run(&["destroy", "--yes"]).code, 0, "nothing to do is success");
}
