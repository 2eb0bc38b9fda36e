//! The same commands against ministack, an endpoint that nobody of this project wrote.
//!
//! Ignored unless asked for, since it needs ministack on PATH and the services compiled: `scripts/test ministack`. No
//! Docker is used, so that what is seen is the same everywhere: the stacks are real, and nothing runs behind them.

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{Said, Scratch, curl, free_port};

/// ministack on a port of its own, ended with the test, and this project's manifest.
struct Ministack {
    scratch: Scratch,
    url: String,
    process: Child,
}

impl Ministack {
    fn start() -> Self {
        let scratch = Scratch::new();
        let port = free_port();
        let log = std::fs::File::create(scratch.path().join("ministack.log")).unwrap();
        let process = Command::new("ministack")
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("STATE_DIR", scratch.path().join("ministack"))
            .envs([("IOT_MTLS_ENABLED", "0"), ("SFTP_ENABLED", "0"), ("PERSIST_STATE", "0")])
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("ministack is on PATH: scripts/test ministack installs it");
        let url = format!("http://127.0.0.1:{port}");
        let ministack = Self { scratch, url, process };
        let begun = Instant::now();
        while !curl(&[&format!("{}/_ministack/health", ministack.url)]).contains("services") {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "ministack does not answer: {}",
                ministack.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        ministack.write_manifest();
        ministack
    }

    fn write_manifest(&self) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
        std::fs::copy(root.join("deployer.toml"), self.scratch.manifest()).unwrap();
        self.edit("name = \"patient-management\"", "name = \"pms-mini\"");
        self.edit("workspace = \".\"", &format!("workspace = {root:?}"));
    }

    fn edit(&self, from: &str, to: &str) {
        self.scratch.edit("deployer.toml", from, to);
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.scratch.run(&[arguments, &["--endpoint-url", &self.url]].concat())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("ministack.log")).unwrap_or_default()
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
fn the_whole_life_of_a_platform_on_an_endpoint_that_is_not_ours() {
    let ministack = Ministack::start();

    let refused = ministack.run(&["up", "--yes"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.all.contains("does not know AWS::MSK::Cluster"),
        "what is missing is named"
    );
    assert!(
        refused.all.contains("kafka.bootstrap = \"host:9092\""),
        "and the way round it"
    );
    let status = ministack.run(&["status"]).all;
    assert!(!status.contains("COMPLETE"), "nothing was begun: {status}");

    ministack.edit("[kafka]\n", "[kafka]\nbootstrap = \"127.0.0.1:9092\"\n");
    let up = ministack.run(&["up", "--yes"]);
    assert_eq!(up.code, 6, "the stacks are complete, and nothing serves");
    for kind in [
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::NatGateway",
    ] {
        assert!(up.all.contains(&format!("{kind} (")), "{kind} is reported");
    }
    assert!(up.all.contains("nothing serves") && up.all.contains("PatientDatabase (AWS::RDS::DBInstance)"));
    assert!(
        up.all.contains("it runs them with: Docker"),
        "what it would need is told"
    );

    let again = ministack.run(&["up", "--yes", "--stacks-only"]);
    assert_eq!(again.code, 0);
    assert!(again.all.contains("nothing to do; readiness was not checked"));
    assert_eq!(ministack.run(&["diff", "--exit-code"]).code, 0, "nothing is left to do");

    ministack.edit(
        "AUTH_ADMIN_EMAIL = \"admin@example.org\"",
        "AUTH_ADMIN_EMAIL = \"root@example.org\"",
    );
    let diff = ministack.run(&["diff", "--exit-code"]);
    assert_eq!(diff.code, 2);
    assert!(diff.out.contains("admin@example.org -> root@example.org") && !diff.out.contains("SecurityGroup"));
    let update = ministack.run(&["up", "--yes", "--stacks-only"]);
    assert_eq!(update.code, 0);
    assert!(update.all.contains("1 stack updated"));
    assert_eq!(ministack.run(&["diff", "--exit-code"]).code, 0);

    // A template that is too large for a request goes through ministack's own S3.
    let variables: String = (0..500)
        .map(|n| format!("SETTING_{n:03} = \"{}\", ", "x".repeat(70)))
        .collect();
    ministack.edit(
        "environment = { TOKEN_AUDIENCE",
        &format!("environment = {{ {variables} TOKEN_AUDIENCE"),
    );
    assert_eq!(ministack.run(&["up", "--yes", "--stacks-only"]).code, 0);
    assert_eq!(ministack.run(&["diff", "--exit-code"]).code, 0);

    assert!(ministack.run(&["drift"]).out.contains("no drift"));
    ministack.delete_log_group("/ecs/pms-mini-dev/billing-service");
    let drift = ministack.run(&["drift"]).out;
    assert!(
        drift.contains("pms-mini-dev-billing-service: LogGroup (AWS::Logs::LogGroup) deleted"),
        "{drift}"
    );

    let doctor = ministack.run(&["doctor"]).all;
    assert!(
        doctor.contains("ministack light") && doctor.contains("running ECS tasks and databases: only with Docker"),
        "{doctor}"
    );

    let destroyed = ministack.run(&["destroy", "--yes"]);
    assert_eq!(destroyed.code, 0);
    assert!(
        destroyed
            .all
            .contains("deleted bucket for templates deployer-templates-"),
        "the bucket was used, and was empty"
    );
    let status = ministack.run(&["status"]).all;
    assert!(!status.contains("COMPLETE"), "nothing is left: {status}");
    assert_eq!(
        ministack.run(&["destroy", "--yes"]).code,
        0,
        "once more is nothing to do"
    );
}
