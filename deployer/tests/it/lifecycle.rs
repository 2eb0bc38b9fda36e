//! Changes of a deployed environment outside a deployment, and a first deployment that fails half-way.
//!
//! It deploys small systems, so it is ignored by default: `scripts/test system` runs it.

use serde_json::{Value, json};

use crate::support::hello::hello;
use crate::support::{Project, text};

const DATABASE: &str = "AWS::RDS::DBInstance";
const BALANCER: &str = "AWS::ElasticLoadBalancingV2::LoadBalancer";

fn status_of(project: &Project, stack: &str) -> String {
    let status = project.result(&["status"]);
    let mut stacks = status["stacks"].as_array().unwrap().iter();
    let found = stacks.find(|found| found["stack"] == stack).unwrap();
    text(&found["status"])
}

#[test]
#[ignore = "deploys a system; scripts/test runs it"]
fn a_first_creation_of_a_protected_environment_that_fails_is_rolled_back_and_the_next_up_completes_it() {
    let project = hello();
    project.edit(
        "deployer.toml",
        "[environments.dev]\n",
        "[databases.first]\n\n[databases.second]\nsnapshot = \"missing\"\n\n[environments.dev]\nprotected = true\n",
    );
    project.json(&["up", "--yes"]).fails(4, "stack_failed");
    assert_eq!(status_of(&project, "hello-dev-data"), "ROLLBACK_COMPLETE");

    project.edit("deployer.toml", "snapshot = \"missing\"\n", "");
    let up = project.json(&["up", "--yes"]);
    assert_eq!(up.code, 0, "{}", up.all());
    assert_eq!(
        status_of(&project, "hello-dev-data"),
        "UPDATE_COMPLETE",
        "created, then protected"
    );
    assert_eq!(project.run(&["diff", "--exit-code"]).code, 0, "as declared");
    let plan = project.result(&["destroy", "--dry-run"]);
    let stacks = plan["stacks"].as_array().unwrap().iter();
    let protections = stacks.flat_map(|stack| stack["protections"].as_array().unwrap());
    let types: Vec<&Value> = protections.map(|protection| &protection["resource_type"]).collect();
    for (resource_type, count) in [(DATABASE, 2), (BALANCER, 1)] {
        let found = types.iter().filter(|found| **found == resource_type).count();
        assert_eq!(found, count, "{resource_type}: {plan}");
    }
    let destroy = ["destroy", "--disable-protection", "--confirm", "hello-dev"];
    assert_eq!(project.run(&destroy).code, 0, "destroy failed");
}

#[test]
#[ignore = "deploys a system; scripts/test runs it"]
fn a_changed_secret_is_reported_and_up_starts_new_tasks_of_its_services() {
    let project = hello();
    project.edit(
        "deployer.toml",
        "ports = { http = 8000 }",
        "ports = { http = 8000 }\nsecrets = [\"TOKEN\"]",
    );
    assert_eq!(project.run(&["up", "--yes"]).code, 0, "up failed");
    let outdated = |project: &Project| project.result(&["status"])["outdated_secrets"].clone();
    assert_eq!(outdated(&project), json!([]));

    let secrets = project.call("secretsmanager.ListSecrets", &json!({}));
    let secret = secrets["SecretList"].as_array().unwrap().first().unwrap();
    let change = json!({ "SecretId": secret["ARN"], "SecretString": "another-value" });
    project.call("secretsmanager.PutSecretValue", &change);
    let found = outdated(&project);
    assert_eq!(
        (&found[0]["service"], &found[0]["tasks"]),
        (&json!("hello"), &json!(1)),
        "{found}"
    );

    let up = project.result(&["up", "--yes"]);
    assert_eq!((&up["changed"], &up["restarted"]), (&json!(0), &json!(["hello"])));
    assert_eq!(outdated(&project), json!([]));
    assert_eq!(project.run(&["diff", "--exit-code"]).code, 0, "no template changed");
    assert_eq!(project.run(&["destroy", "--yes"]).code, 0, "destroy failed");
}
