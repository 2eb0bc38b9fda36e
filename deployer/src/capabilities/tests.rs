//! Plans of the tests' manifest on endpoints that lack something.

use std::collections::BTreeSet;

use aws::Endpoint;
use aws::testing::{Call, FakeAws, query_response};
use platform::manifest::Bootstrap;
use platform::stacks::{self, Plan, Source};
use serde_json::{Value, json};

use super::adapt_plan::without;
use super::unsupported_types::unlisted_types;
use super::*;
use crate::command::testing::manifest;

/// The types that ministack 1.5.33 rejects when it validates templates of this kind.
const MINISTACK: [&str; 7] = [
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::EC2::EIP",
    "AWS::EC2::FlowLog",
    "AWS::EC2::NatGateway",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
];

fn plan_with(bootstrap: Option<&str>, environment: &str) -> Plan {
    let mut manifest = manifest(environment);
    if let Some(kafka) = &mut manifest.kafka {
        kafka.bootstrap = bootstrap.map(|text| Bootstrap::parse(text, None).expect("brokers"));
    }
    stacks::plan(&manifest)
}

fn types(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn endpoint(edition: &str, services: &Value) -> Endpoint {
    Endpoint::from_health(
        &json!({ "services": services, "edition": edition }),
        "http://127.0.0.1:4566",
    )
}

#[test]
fn types_that_an_imitation_does_not_need_are_omitted_with_all_references() {
    for environment in ["dev", "prod"] {
        let unsupported = types(&MINISTACK);
        let plan = plan_with(Some("broker:9092"), environment);
        let (plan, omitted) = without(plan, &unsupported).expect("an adapted plan");
        assert!(omitted.contains_key("AWS::EC2::SecurityGroupIngress"), "{omitted:?}");
        let mut outputs = BTreeSet::new();
        for stack in &plan.stacks {
            let template = stack.template.as_object().expect("a template");
            assert!(template.values().all(|section| !section.is_null()));
            let resources = template["Resources"].as_object().expect("resources");
            let type_of = |resource: &Value| resource["Type"].as_str().unwrap_or_default().to_owned();
            assert!(resources.values().all(|one| !unsupported.contains(&type_of(one))));
            let parameters = stack.template["Parameters"].as_object().into_iter().flatten();
            let known: BTreeSet<&String> = resources.keys().chain(parameters.map(|(name, _)| name)).collect();
            for id in references(&stack.template) {
                assert!(
                    known.contains(&id) || id.starts_with("AWS::"),
                    "{}: {id} does not exist",
                    stack.name
                );
            }
            for parameter in &stack.parameters {
                if let Source::Output { stack, output } = &parameter.source {
                    let output = (stack.clone(), output.clone());
                    assert!(outputs.contains(&output), "{output:?} does not exist");
                }
            }
            let named = stack.template["Outputs"].as_object().into_iter().flatten();
            outputs.extend(named.map(|(name, _)| (stack.name.clone(), name.clone())));
        }
    }
}

#[test]
fn a_service_works_without_the_alarms_that_would_roll_it_back() {
    let plan = plan_with(Some("broker:9092"), "prod");
    let (plan, omitted) = without(plan, &types(&["AWS::CloudWatch::Alarm"])).expect("an adapted plan");
    assert!(omitted.contains_key("AWS::CloudWatch::Alarm"), "{omitted:?}");
    let service = &plan.stack("web").expect("the stack").template["Resources"]["Service"]["Properties"];
    let deployment = &service["DeploymentConfiguration"];
    assert_eq!(deployment.get("Alarms"), None);
    assert_eq!(deployment["DeploymentCircuitBreaker"]["Enable"], true);
}

/// Returns the logical IDs to which a template refers with `Ref`, `Fn::GetAtt` and `DependsOn`.
fn references(value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, inner)| match key.as_str() {
                "Fn::GetAtt" => text(&inner[0]).into_iter().collect(),
                "DependsOn" if inner.is_array() => inner.as_array().into_iter().flatten().filter_map(text).collect(),
                "Ref" | "DependsOn" => text(inner).into_iter().collect(),
                _ => references(inner),
            })
            .collect(),
        Value::Array(list) => list.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn brokers_are_needed_and_the_error_names_the_setting_that_replaces_them() {
    let unsupported = types(&["AWS::EC2::EIP", "AWS::MSK::Cluster", "AWS::MSK::Topic"]);
    let needed = without(plan_with(None, "dev"), &unsupported).expect_err("services need brokers");
    let names: Vec<&str> = needed.iter().map(|one| one.resource_type.as_str()).collect();
    assert_eq!(names, ["AWS::MSK::Cluster", "AWS::MSK::Topic"]);
    let endpoint = "moto 5.2.5".to_owned();
    let error = Error::UnsupportedTypes {
        endpoint,
        types: needed,
    };
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap_or_default()));
}

#[test]
fn a_needed_type_without_a_replacement_is_an_error_before_anything_is_created() {
    let needed = without(plan_with(None, "dev"), &types(&["AWS::ECS::Service"])).expect_err("services need ECS");
    let expected = UnsupportedType {
        resource_type: "AWS::ECS::Service".into(),
        remedy: None,
    };
    assert_eq!(needed, [expected]);
}

#[test]
fn a_database_gets_a_generated_secret_if_rds_manages_none() {
    let mut plan = plan_with(Some("broker:9092"), "dev");
    assert!(database_passwords::generate(&mut plan));
    let data = plan.stacks.iter().find(|stack| stack.short_name == "data");
    let template = &data.expect("databases").template;
    let text = template.to_string();
    assert!(
        !text.contains("MasterUserSecret") && !text.contains("ManageMasterUserPassword"),
        "{text}"
    );
    let resources = &template["Resources"];
    let secret = &resources["OrdersDatabaseCredentials"]["Properties"]["GenerateSecretString"];
    assert_eq!(secret["SecretStringTemplate"], r#"{"username":"orders_owner"}"#);
    assert_eq!(
        resources["OrdersDatabase"]["Properties"]["MasterUserPassword"]["Fn::Sub"],
        "{{resolve:secretsmanager:${OrdersDatabaseCredentials}:SecretString:password}}",
        "no template contains the password"
    );
    assert_eq!(
        template["Outputs"]["OrdersDatabaseSecretArn"]["Value"]["Ref"],
        "OrdersDatabaseCredentials"
    );
    assert!(
        !database_passwords::generate(&mut plan),
        "a second call changes nothing"
    );
}

#[test]
fn localstacks_list_of_services_shows_what_its_license_lacks() {
    let plan = plan_with(None, "dev");
    let base = json!({
        "application-autoscaling": "available", "cloudwatch": "running", "ec2": "available", "ecr": "available",
        "ecs": "available", "elbv2": "available", "iam": "running", "kafka": "disabled", "logs": "available",
        "rds": "available", "secretsmanager": "available", "servicediscovery": "available",
    });
    let unlisted = unlisted_types(&endpoint("pro", &base), &plan);
    assert!(
        !unlisted.is_empty() && unlisted.iter().all(|name| name.starts_with("AWS::MSK::")),
        "{unlisted:?}"
    );
    let community = json!({ "cloudformation": "available", "ec2": "available", "s3": "available" });
    assert!(unlisted_types(&endpoint("community", &community), &plan).contains("AWS::ECS::Service"));
    assert!(
        unlisted_types(&endpoint("pro", &json!({})), &plan).is_empty(),
        "an empty list shows nothing"
    );
}

/// Returns the resources of a stack as LocalStack lists them if it does not know databases, and skips one rule.
fn listed(plan: &Plan, call: &Call) -> String {
    let name = call.field("StackName");
    let stack = plan.stacks.iter().find(|stack| stack.name == name);
    let resources = stack.and_then(|stack| stack.template["Resources"].as_object());
    let members = resources.into_iter().flatten().filter_map(|(id, resource)| {
        let resource_type = resource["Type"].as_str().unwrap_or_default();
        let physical = match resource_type {
            "AWS::EC2::SecurityGroupEgress" => return None,
            "AWS::RDS::DBInstance" => "unknown".to_owned(),
            _ => format!("physical-{id}"),
        };
        Some(format!(
            "<member><LogicalResourceId>{id}</LogicalResourceId><PhysicalResourceId>{physical}</PhysicalResourceId>\
             <ResourceType>{resource_type}</ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>"
        ))
    });
    let members: String = members.collect();
    format!("<StackResourceSummaries>{members}</StackResourceSummaries>")
}

#[tokio::test]
async fn resources_that_are_complete_and_do_not_exist_are_found() {
    let plan = plan_with(Some("broker:9092"), "dev");
    let listing = plan.clone();
    let fake = FakeAws::start(move |call| match call.operation.as_str() {
        "ListStackResources" => query_response(&call.operation, &listed(&listing, call)),
        other => panic!("{other} was not expected"),
    })
    .await;
    let health = json!({ "services": {}, "edition": "pro", "version": "4.14.0" });
    let localstack = Endpoint::from_health(&health, "http://127.0.0.1:4566");
    let aws = fake.session().await.with_endpoint(localstack);

    let error = check_backing(&aws, &plan, false)
        .await
        .expect_err("services need databases");
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap_or_default()));

    let warnings = check_backing(&aws, &plan, true)
        .await
        .expect("complete stacks are enough");
    let mentions = |text: &str| warnings.iter().any(|warning| warning.contains(text));
    assert!(
        mentions("AWS::EC2::SecurityGroupEgress") && mentions("OrdersDatabase"),
        "{warnings:?}"
    );
}
