use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::links::{Group, paths};
use super::*;

pub(super) fn plan_of(environment: &str) -> (Manifest, Plan) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deployer.toml");
    let manifest = Manifest::load(&path, environment).unwrap();
    let plan = plan(&manifest);
    (manifest, plan)
}

#[test]
fn a_database_made_from_a_snapshot_has_its_name_and_owner_from_there() {
    let (mut manifest, _) = plan_of("dev");
    let restored = manifest.databases.first_mut().expect("a database");
    restored.snapshot = Some("dev-data-snapshot-1x".into());
    let id = cfn::template::logical_id(&[&restored.key, "Database"]);
    let plan = plan(&manifest);
    let data = plan.stacks.iter().find(|stack| stack.short == "data").expect("a stack");
    let properties = &data.template["Resources"][&id]["Properties"];
    assert_eq!(properties["DBSnapshotIdentifier"], "dev-data-snapshot-1x");
    assert!(
        properties.get("DBName").is_none() && properties.get("MasterUsername").is_none(),
        "{properties}"
    );
}

#[test]
fn every_stack_comes_after_all_that_it_depends_on() {
    let (_, plan) = plan_of("dev");
    let mut done = BTreeSet::new();
    for stack in &plan.stacks {
        for earlier in &stack.depends_on {
            assert!(done.contains(earlier), "{} is before {earlier}", stack.name);
        }
        done.insert(stack.name.clone());
    }
}

#[test]
fn every_parameter_taken_from_an_output_has_that_output() {
    for environment in ["dev", "prod"] {
        let (_, plan) = plan_of(environment);
        for stack in &plan.stacks {
            let declared: BTreeSet<&String> = stack.template["Parameters"]
                .as_object()
                .into_iter()
                .flat_map(|all| all.keys())
                .collect();
            let filled: BTreeSet<&String> = stack.parameters.iter().map(|parameter| &parameter.name).collect();
            assert_eq!(declared, filled, "the parameters of {}", stack.name);
            for parameter in &stack.parameters {
                let (Source::Output { stack: from, output }
                | Source::BootstrapBrokers {
                    stack: from, output, ..
                }
                | Source::Image {
                    stack: from, output, ..
                }) = &parameter.source
                else {
                    continue;
                };
                assert!(
                    stack.depends_on.contains(from),
                    "{} reads {from} without waiting for it",
                    stack.name
                );
                let giver = plan.stacks.iter().find(|stack| &stack.name == from).unwrap();
                assert!(
                    giver.template["Outputs"].get(output).is_some(),
                    "{from} has no output {output}"
                );
            }
        }
    }
}

#[test]
fn a_rule_stands_only_where_a_link_is() {
    let (manifest, _) = plan_of("dev");
    let paths = paths(&manifest);
    let reaches = |from: &str, to: Group, port| {
        paths
            .iter()
            .any(|path| path.from == Group::Service(from.into()) && path.to == to && path.port == port)
    };
    assert!(reaches(
        "patient-service",
        Group::Service("billing-service".into()),
        9001
    ));
    assert!(reaches("patient-service", Group::Database("patient".into()), 5432));
    assert!(!reaches("patient-service", Group::Database("billing".into()), 5432));
    assert!(!reaches("billing-service", Group::Kafka, 9092));
    assert!(!reaches(
        "analytics-service",
        Group::Service("patient-service".into()),
        4000
    ));
}

#[test]
fn a_template_is_small_enough_to_be_sent_inline() {
    for environment in ["dev", "prod"] {
        for stack in plan_of(environment).1.stacks {
            let size = stack.template.to_string().len();
            assert!(
                size <= cfn::template::LARGEST_IN_REQUEST,
                "{} has {size} bytes",
                stack.name
            );
        }
    }
}

#[test]
fn both_ends_of_a_link_are_given_the_same_secret() {
    let (_, plan) = plan_of("dev");
    let secret_of = |service: &str| -> Value {
        let stack = plan.stacks.iter().find(|stack| stack.short == service).unwrap();
        let secrets =
            &stack.template["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"][0]["Secrets"];
        secrets
            .as_array()
            .unwrap()
            .iter()
            .find(|secret| secret["Name"] == "BILLING_LINK_SECRET")
            .unwrap()["ValueFrom"]
            .clone()
    };
    assert_eq!(secret_of("patient-service"), secret_of("billing-service"));
}

#[test]
fn brokers_of_somebody_else_take_the_place_of_the_cluster() {
    let (mut manifest, _) = plan_of("dev");
    let kafka = manifest.kafka.as_mut().unwrap();
    kafka.bootstrap = Some(crate::manifest::Bootstrap::parse("broker.example:9094", Some("10.30.0.0/16")).unwrap());
    let plan = plan(&manifest);
    let stack = |short: &str| plan.stacks.iter().find(|stack| stack.short == short);
    assert!(stack("messaging").is_none());
    let network = stack("network").unwrap().template.to_string();
    assert!(!network.contains("Kafka"), "no group and no rule of a cluster");
    let resources = &stack("network").unwrap().template["Resources"];
    let egress = |id: &str| {
        resources[id]["Properties"]["SecurityGroupEgress"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(egress("PatientServiceSecurityGroup"), 2, "it publishes");
    assert_eq!(egress("BillingServiceSecurityGroup"), 1, "it does not use Kafka");
    let rule = &resources["PatientServiceSecurityGroup"]["Properties"]["SecurityGroupEgress"][1];
    assert_eq!(
        (&rule["CidrIp"], &rule["FromPort"]),
        (&"10.30.0.0/16".into(), &9094.into())
    );
    let told = Parameter {
        name: "KafkaBootstrapServers".into(),
        source: Source::Literal("broker.example:9094".into()),
    };
    assert!(stack("patient-service").unwrap().parameters.contains(&told));
}
