//! The repository's `prod` environment on this machine, on an endpoint that is as slow as AWS where that matters: over HTTPS, from
//! the first `up` over a rotated password and a database that is away to a confirmed `destroy`.
//!
//! It takes three minutes and needs PostgreSQL and a broker, so it is ignored by default: `scripts/test system` runs it.

use std::net::TcpStream;
use std::process::Command;

use serde_json::Value;

use crate::support::documents::{blocks, paste};
use crate::support::{Project, Run, eventually};

const PROJECT: &str = "pms-prod";
/// AWS's conditions, scaled: databases take longer than containers, a reboot outlasts every retry, names lag by their TTL.
const LIKE_AWS: [(&str, &str); 2] = [("DEPLOYER_SLOW", "rds=20s,rds-reboot=15s"), ("DEPLOYER_DNS", "cached")];
/// Logs in as the first administrator: `url` and `token` are set.
const LOGIN: &str = "export CURL_CA_BUNDLE=$(scripts/deployer outputs --env prod ca-file)\n";

/// Version 1 of the aws CLI ignores `AWS_ENDPOINT_URL` for RDS.
const RDS: &str = "rds() { aws rds --endpoint-url http://127.0.0.1:4566 \"$@\"; }\n";

/// The repository's manifest with a public name and a web ACL, and a load balancer on a free port.
fn production() -> Project {
    let mut project = Project::from_repository(PROJECT);
    project.environment = LIKE_AWS.to_vec();
    let edit = |from: &str, to: &str| project.edit("deployer.toml", from, to);
    edit("port = 80  ", &format!("port = {}", project.ingress));
    edit("# host = ", "host = ");
    edit(
        "# zone = \"Z…\"",
        "zone = \"Z0123456789ABCDEFGHIJ\"\nweb_acl = \"arn:aws:wafv2:us-east-1:000000000000:regional/webacl/acl/1\"",
    );
    // `system` tests the permissions of roles at the brokers
    edit("security = \"msk-iam\"", "security = \"plaintext\"");
    project
}

#[test]
#[ignore = "deploys a whole system; scripts/test runs it"]
fn production_serves_over_https_a_second_up_changes_nothing_and_destroy_needs_a_confirmation() {
    let system = production();
    let url = format!("https://localhost:{}", system.ingress);
    let up = system.run(&["up", "--env", "prod", "--yes"]);
    assert_eq!(up.code, 0, "up failed");
    its_printed_lines_work(&up, &url);
    no_stack_of_a_caller_waited_in_vain(&system);
    the_first_administrator_works_with_it(&system);
    two_tasks_of_each_service_run(&system);
    a_rotated_password_and_a_reboot_of_the_database_replace_no_task(&system);
    a_second_up_changes_nothing(&system);
    it_is_destroyed_after_a_confirmation_only(&system);
}

fn its_printed_lines_work(up: &Run, url: &str) {
    let mut lines = up.out.lines();
    assert_eq!(lines.next(), Some(url));
    let lines: Vec<&str> = lines.filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(lines.len(), 2, "{}", up.out);
    for line in lines {
        assert!(!line.contains("password"), "there is no demo user: {line}");
        let output = Command::new("sh").args(["-c", line]).output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("`{line}` gave {:?}", Run::from(output).all()));
        assert!(answer.get("keys").or(answer.get("openapi")).is_some(), "{answer}");
    }
    let untrusted = Command::new("curl").args(["-s", url]).status().unwrap();
    // curl's exit code for a certificate of an unknown CA
    assert_eq!(
        untrusted.code(),
        Some(60),
        "without the CA file the certificate is not trusted"
    );
}

/// The commands of docs/targets.md, then a patient whose event arrives through Kafka.
fn the_first_administrator_works_with_it(system: &Project) {
    let blocks = blocks("docs/targets.md", "Production, on this machine");
    let login = blocks.last().unwrap();
    let script = format!(
        "{LOGIN}{login}\n\
         echo\n\
         made=$(curl -s -X POST $url/api/patients -H \"Authorization: Bearer $token\" -H 'Content-Type: application/json' \
         -d '{{\"name\":\"Ada Lovelace\",\"email\":\"ada@example.org\",\"address\":\"12 St James Square\",\"dateOfBirth\":\"1990-12-10\"}}')\n\
         echo \"$made\"\n\
         id=$(printf %s \"$made\" | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/')\n\
         for second in $(seq 30); do\n\
         seen=$(curl -s \"$url/api/analytics/events?patientId=$id\" -H \"Authorization: Bearer $token\")\n\
         case $seen in *PATIENT_CREATED*) break ;; esac\n\
         sleep 1\n\
         done\n\
         echo \"$seen\""
    );
    let run = paste(system, PROJECT, &script);
    assert_eq!(run.code, 0);
    assert_eq!(
        run.out.lines().next(),
        Some("[]"),
        "no demo data: there is no patient yet"
    );
    for word in ["Ada Lovelace", "PATIENT_CREATED"] {
        assert!(run.out.contains(word), "the responses contain {word}");
    }
}

/// The public service is created after the services that it calls, whose databases take their time.
fn no_stack_of_a_caller_waited_in_vain(system: &Project) {
    let events = system.stack_events(&["--env", "prod"]);
    let events = events.as_array().unwrap();
    let position = |stack: &str, status: &str| {
        let is_stack =
            |event: &Value| event["resource_type"] == "AWS::CloudFormation::Stack" && event["status"] == status;
        let fits = |event: &Value| event["stack"] == stack && is_stack(event);
        events
            .iter()
            .position(fits)
            .unwrap_or_else(|| panic!("{stack} has no {status}"))
    };
    let gateway = position("api-gateway", "CREATE_IN_PROGRESS");
    for callee in ["auth-service", "patient-service", "billing-service"] {
        assert!(
            position(callee, "CREATE_COMPLETE") < gateway,
            "{callee} is complete before its caller starts"
        );
    }
}

/// RDS rotates passwords weekly, and a failover or an upgrade takes a database away. The first must fail no request; in the second,
/// tasks wait for the database instead of being replaced.
fn a_rotated_password_and_a_reboot_of_the_database_replace_no_task(system: &Project) {
    let login = blocks("docs/targets.md", "Production, on this machine").pop().unwrap();
    let before = service_processes(system);
    assert!(before.len() >= 14, "{before:?}");
    let script = format!(
        "{LOGIN}{login}\n{RDS}\
         id=$(rds describe-db-instances --output text \
              --query \"DBInstances[?contains(DBInstanceIdentifier, 'patient')].DBInstanceIdentifier\" | head -n1)\n\
         request() {{ curl -s -o /dev/null -w '%{{http_code}}\\n' --max-time 20 \"$url/api/patients\" -H \"Authorization: Bearer $token\"; }}\n\
         rds modify-db-instance --db-instance-identifier \"$id\" --rotate-master-user-password --apply-immediately > rotated.json\n\
         for number in $(seq 40); do request; done | sort | uniq -c > during-rotation.txt\n\
         rds reboot-db-instance --db-instance-identifier \"$id\" > rebooted.json\n\
         sleep 5\n\
         request > during-reboot.txt\n\
         for second in $(seq 60); do [ \"$(request)\" = 200 ] && break; sleep 1; done\n\
         for number in $(seq 20); do request; done | sort | uniq -c > after-reboot.txt"
    );
    assert_eq!(paste(system, PROJECT, &script).code, 0);
    let read = |file: &str| std::fs::read_to_string(system.path().join(file)).unwrap();
    let counts = |file: &str| read(file).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        counts("during-rotation.txt"),
        ["40", "200"],
        "a rotated password fails no request"
    );
    assert_ne!(read("during-reboot.txt").trim(), "200", "the database is away");
    assert_eq!(
        counts("after-reboot.txt"),
        ["20", "200"],
        "the tasks connect with the new password"
    );
    assert_eq!(service_processes(system), before, "no task was replaced");
}

/// The process IDs of the tasks of services.
fn service_processes(system: &Project) -> Vec<String> {
    let processes = system.processes().into_iter();
    let mut tasks: Vec<String> = processes
        .filter(|process| process.contains("/usr/local/bin/"))
        .collect();
    tasks.sort();
    tasks
}

fn two_tasks_of_each_service_run(system: &Project) {
    let status = system.result(&["status", "--env", "prod"]);
    let services = status["services"].as_array().unwrap();
    assert_eq!(services.len(), 7);
    for service in services {
        assert_eq!(
            (&service["running"], &service["desired"]),
            (&2.into(), &2.into()),
            "{service}"
        );
    }
}

fn a_second_up_changes_nothing(system: &Project) {
    let before = system.stack_events(&["--env", "prod"]);
    assert_eq!(system.run(&["up", "--env", "prod", "--yes"]).code, 0);
    assert_eq!(system.stack_events(&["--env", "prod"]), before);
    assert_eq!(system.run(&["diff", "--env", "prod", "--exit-code"]).code, 0);
    assert!(system.has_no_drift(&["--env", "prod"]));
}

fn it_is_destroyed_after_a_confirmation_only(system: &Project) {
    system
        .json(&["destroy", "--env", "prod", "--yes"])
        .fails(1, "protected");
    let destroyed = system.run(&[
        "destroy",
        "--env",
        "prod",
        "--disable-protection",
        "--confirm",
        &format!("{PROJECT}-prod"),
    ]);
    assert_eq!(destroyed.code, 0);
    eventually("no process is left", 15, || system.processes().is_empty());
    for port in [system.ingress, system.endpoint] {
        assert!(
            TcpStream::connect(("127.0.0.1", port)).is_err(),
            "port {port} is still open"
        );
    }
}
