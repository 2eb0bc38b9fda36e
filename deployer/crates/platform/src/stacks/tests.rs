mod connections;
mod monitoring;
mod retention;
mod rollout;
mod updates;

use std::collections::BTreeSet;

use serde_json::Value;

use super::links::{Group, paths};
use super::*;
use crate::manifest::{Bootstrap, Call};
use crate::testing::plan_of;

#[test]
fn a_database_restored_from_a_snapshot_has_its_name_and_owner_from_there() {
    let (mut manifest, _) = plan_of("dev");
    let orders = manifest.databases.iter_mut().find(|database| database.key == "orders");
    orders.expect("the database").snapshot = Some("dev-data-snapshot-1x".into());
    let plan = plan(&manifest);
    let data = plan.stack("data").expect("a stack");
    let properties = &data.template["Resources"]["OrdersDatabase"]["Properties"];
    assert_eq!(properties["DBSnapshotIdentifier"], "dev-data-snapshot-1x");
    assert_eq!(
        (properties.get("DBName"), properties.get("MasterUsername")),
        (None, None)
    );
}

#[test]
fn every_stack_comes_after_all_on_which_it_depends() {
    let (_, plan) = plan_of("dev");
    let mut earlier = BTreeSet::new();
    for stack in &plan.stacks {
        for dependency in &stack.depends_on {
            assert!(earlier.contains(dependency), "{} is before {dependency}", stack.name);
        }
        earlier.insert(stack.name.clone());
    }
}

#[test]
fn every_parameter_from_an_output_has_that_output() {
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
                    "{} reads {from} without depending on it",
                    stack.name
                );
                let origin = plan.stacks.iter().find(|stack| &stack.name == from).unwrap();
                assert!(
                    origin.template["Outputs"].get(output).is_some(),
                    "{from} has no output {output}"
                );
            }
        }
    }
}

#[test]
fn a_path_exists_only_for_a_link() {
    let (manifest, _) = plan_of("dev");
    let paths = paths(&manifest);
    let has = |from: &str, to: Group, port| {
        paths
            .iter()
            .any(|path| path.from == Group::Service(from.into()) && path.to == to && path.port == port)
    };
    let (orders, invoices) = (Group::Service("orders".into()), Group::Service("invoices".into()));
    assert!(has("web", orders.clone(), 9001));
    assert!(has("orders", Group::Database("orders".into()), 5432));
    assert!(!has("orders", Group::Database("invoices".into()), 5432));
    assert!(!has("web", Group::Kafka, 9092));
    assert!(!has("orders", invoices, 8002));
    assert!(!has("invoices", orders, 9001));
}

#[test]
fn both_services_of_a_link_receive_the_same_secret() {
    let (_, plan) = plan_of("dev");
    let secret_of = |service: &str| -> Value {
        let definition = &plan.stack(service).unwrap().template["Resources"]["TaskDefinition"]["Properties"];
        let secrets = definition["ContainerDefinitions"][0]["Secrets"].as_array().unwrap();
        let secret = secrets.iter().find(|secret| secret["Name"] == "ORDERS_LINK_SECRET");
        secret.unwrap()["ValueFrom"].clone()
    };
    assert_eq!(secret_of("web"), secret_of("orders"));
}

#[test]
fn brokers_of_another_operator_replace_the_cluster() {
    let (mut manifest, _) = plan_of("dev");
    let kafka = manifest.kafka.as_mut().unwrap();
    kafka.bootstrap = Some(Bootstrap::parse("broker.example:9094", Some("10.30.0.0/16")).unwrap());
    let plan = plan(&manifest);
    assert!(plan.stack("messaging").is_none());
    let resources = &plan.stack("network").unwrap().template["Resources"];
    assert_eq!(resources.get("KafkaSecurityGroup"), None);
    let egress = |id: &str| resources[id]["Properties"]["SecurityGroupEgress"].as_array().unwrap();
    assert_eq!(egress("OrdersSecurityGroup").len(), 2, "it publishes");
    assert_eq!(egress("WebSecurityGroup").len(), 1, "it does not use Kafka");
    let rule = &egress("OrdersSecurityGroup")[1];
    assert_eq!(
        (&rule["CidrIp"], &rule["FromPort"]),
        (&"10.30.0.0/16".into(), &9094.into())
    );
    let expected = Parameter {
        name: "KafkaBootstrapServers".into(),
        source: Source::Literal("broker.example:9094".into()),
    };
    assert!(plan.stack("orders").unwrap().parameters.contains(&expected));
}

#[test]
fn a_health_check_on_another_port_is_reachable_from_the_load_balancer() {
    let (mut manifest, _) = plan_of("dev");
    let name = manifest.ingress.service.clone();
    let public = manifest.services.iter_mut().find(|service| service.name == name);
    public.expect("the public service").health_port = Some(9000);
    let plan = plan(&manifest);
    let service = plan.stack(&name).expect("a stack");
    assert_eq!(
        service.template["Resources"]["TargetGroup"]["Properties"]["HealthCheckPort"],
        "9000"
    );
    let from_load_balancer = |path: &&super::links::Path| path.from == Group::LoadBalancer;
    let ports: Vec<u16> = paths(&manifest)
        .iter()
        .filter(from_load_balancer)
        .map(|path| path.port)
        .collect();
    assert_eq!(ports, [8000, 9000]);
    assert_eq!(crate::lint::check(&manifest, &plan), []);
}

#[test]
fn the_public_service_is_created_after_the_services_that_it_calls() {
    let (mut manifest, _) = plan_of("dev");
    let public = manifest.ingress.service.clone();
    let callees: Vec<String> = manifest
        .service(&public)
        .expect("a service")
        .calls
        .iter()
        .map(|call| call.service.clone())
        .collect();
    assert!(!callees.is_empty());
    // a callee that calls the public service must not turn the order around
    let call = manifest.service(&public).expect("a service").calls[0].clone();
    let back = Call {
        service: public.clone(),
        ..call
    };
    manifest
        .services
        .iter_mut()
        .find(|service| service.name == callees[0])
        .expect("a service")
        .calls
        .push(back);
    let plan = plan(&manifest);
    let position = |name: &str| {
        plan.stacks
            .iter()
            .position(|stack| stack.short_name == name)
            .expect("a stack")
    };
    for callee in &callees {
        assert!(position(callee) < position(&public));
        assert!(
            plan.stack(&public)
                .expect("a stack")
                .depends_on
                .contains(&name_of(&manifest, callee))
        );
    }
}
