//! An environment in the VPC of another one, as in a company whose VPCs are made by another team.
//!
//! It deploys two small systems, so it is ignored by default: `scripts/test system` runs it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::hello::hello;
use crate::support::{Project, curl, free_port, text};

/// The names of the stacks of an environment that exist.
fn stacks(project: &Project, environment: &str) -> Vec<String> {
    let status = project.result(&["status", "--env", environment]);
    let stacks = status["stacks"].as_array().unwrap().iter();
    let deployed = stacks.filter(|stack| stack["status"] != "not deployed");
    deployed.map(|stack| text(&stack["stack"])).collect()
}

/// The IDs in an output of the network stack, as a list in TOML.
fn list(outputs: &Value, name: &str) -> String {
    let ids = text(&outputs[format!("network.{name}")]);
    let quoted: Vec<String> = ids.split(',').map(|id| format!("\"{id}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

#[test]
#[ignore = "deploys two systems; scripts/test runs it"]
fn an_environment_is_deployed_into_an_existing_vpc_serves_and_leaves_it_as_it_was() {
    let project = hello();
    assert_eq!(project.run(&["up", "--yes"]).code, 0, "up of the VPC's owner failed");
    let outputs = project.result(&["outputs"]);
    let vpc = text(&outputs["network.VpcId"]);
    let (public, private) = (list(&outputs, "PublicSubnetIds"), list(&outputs, "PrivateSubnetIds"));

    let port = free_port();
    let guest = format!(
        "[environments.guest.ingress]\nport = {port}\n\n[environments.guest.network]\nvpc = \"{vpc}\"\npublic_subnets = {public}\n\
         private_subnets = {private}\n\n[environments.dev]\n"
    );
    project.edit("deployer.toml", "[environments.dev]\n", &guest);

    // a subnet of the other tier: a load balancer there could not be reached
    project.edit(
        "deployer.toml",
        &format!("public_subnets = {public}"),
        &format!("public_subnets = {private}"),
    );
    let refused = project.json(&["up", "--yes", "--env", "guest"]);
    assert_eq!(refused.code, 1, "{}", refused.all());
    assert!(
        text(&refused.error()["message"]).contains("is not public"),
        "{}",
        refused.all()
    );
    assert_eq!(stacks(&project, "guest"), Vec::<String>::new(), "nothing was created");
    project.edit(
        "deployer.toml",
        &format!("public_subnets = {private}"),
        &format!("public_subnets = {public}"),
    );

    assert_eq!(project.run(&["up", "--yes", "--env", "guest"]).code, 0, "up failed");
    assert_eq!(curl(&[&format!("http://localhost:{port}/")]), "hello");
    assert_eq!(curl(&[&project.url()]), "hello");
    let guest = project.result(&["outputs", "--env", "guest"]);
    for name in ["VpcId", "PublicSubnetIds", "PrivateSubnetIds"] {
        let ids = |outputs: &Value| -> BTreeSet<String> {
            let ids = text(&outputs[format!("network.{name}")]);
            ids.split(',').map(str::to_owned).collect()
        };
        assert_eq!(ids(&guest), ids(&outputs), "{name}");
    }
    assert_eq!(project.run(&["diff", "--exit-code", "--env", "guest"]).code, 0);
    assert!(
        project.has_no_drift(&["--env", "guest"]),
        "what others have in the VPC is not unmanaged"
    );

    // its own VPC would replace everything
    project.edit(
        "deployer.toml",
        "[environments.guest.network]\nvpc",
        "[environments.guest.network]\n# vpc",
    );
    for key in ["public_subnets", "private_subnets"] {
        project.edit("deployer.toml", &format!("\n{key}"), &format!("\n# {key}"));
    }
    let refused = project.json(&["up", "--yes", "--env", "guest"]);
    assert_eq!(refused.code, 1, "{}", refused.all());
    assert!(
        text(&refused.error()["message"]).contains("network.vpc is not set"),
        "{}",
        refused.all()
    );
    for key in ["vpc", "public_subnets", "private_subnets"] {
        project.edit("deployer.toml", &format!("\n# {key}"), &format!("\n{key}"));
    }

    assert_eq!(
        project.run(&["destroy", "--yes", "--env", "guest"]).code,
        0,
        "destroy failed"
    );
    assert_eq!(stacks(&project, "guest"), Vec::<String>::new());
    assert_eq!(curl(&[&project.url()]), "hello", "the owner of the VPC still serves");
    assert!(project.has_no_drift(&[]), "nothing of the owner was changed");
    assert_eq!(
        project.run(&["destroy", "--yes"]).code,
        0,
        "destroy of the VPC's owner failed"
    );
}
