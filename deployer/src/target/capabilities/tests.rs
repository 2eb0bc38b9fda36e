//! Who answers, and what of this project's own plan is left for each.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::fit::{Missing, without};
use super::*;
use crate::manifest::{Bootstrap, Manifest};
use crate::stacks::{self, Plan, Source};
use crate::target::scripted::Scripted;
use ui::{Event, Ui};

/// What ministack 1.5.33 names when it is asked to validate this project's templates.
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
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployer.toml");
    let mut manifest = Manifest::load(&path, environment).expect("the manifest");
    if let Some(kafka) = &mut manifest.kafka {
        kafka.bootstrap = bootstrap.map(|text| Bootstrap::parse(text, None).expect("brokers"));
    }
    stacks::plan(&manifest)
}

fn types(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_platform_does_without_what_an_imitation_would_not_do_anyway() {
    for environment in ["dev", "prod"] {
        let unknown = types(&MINISTACK);
        let (plan, left_out) =
            without(plan_with(Some("broker:9092"), environment), &unknown).expect("it can do without");
        assert!(left_out.contains_key("AWS::EC2::SecurityGroupIngress"), "{left_out:?}");
        assert!(
            left_out.contains_key("AWS::EC2::Route"),
            "a route to a NAT gateway goes with it"
        );
        let mut outputs = BTreeSet::new();
        for stack in &plan.stacks {
            let resources = stack.template["Resources"].as_object().expect("resources");
            assert!(
                resources
                    .values()
                    .all(|one| !unknown.contains(one["Type"].as_str().unwrap_or_default()))
            );
            assert!(
                stack
                    .template
                    .as_object()
                    .is_some_and(|whole| whole.values().all(|part| !part.is_null()))
            );
            let known: BTreeSet<&String> = resources
                .keys()
                .chain(
                    stack.template["Parameters"]
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(name, _)| name),
                )
                .collect();
            for id in referred(&stack.template) {
                assert!(
                    known.contains(&id) || id.starts_with("AWS::"),
                    "{}: {id} dangles",
                    stack.name
                );
            }
            for parameter in &stack.parameters {
                if let Source::Output { stack: other, output } = &parameter.source {
                    assert!(
                        outputs.contains(&(other.clone(), output.clone())),
                        "{other} has no {output} any more"
                    );
                }
            }
            let named = stack.template["Outputs"].as_object().into_iter().flatten();
            outputs.extend(named.map(|(name, _)| (stack.name.clone(), name.clone())));
        }
    }
}

/// The logical ids that a template refers to with `Ref`, `Fn::GetAtt` and `DependsOn`.
fn referred(value: &serde_json::Value) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    match value {
        serde_json::Value::Object(map) => map
            .iter()
            .flat_map(|(key, inner)| match key.as_str() {
                "Ref" => text(inner).into_iter().collect(),
                "Fn::GetAtt" => text(&inner[0]).into_iter().collect(),
                "DependsOn" if inner.is_array() => inner.as_array().into_iter().flatten().filter_map(text).collect(),
                "DependsOn" => text(inner).into_iter().collect(),
                _ => referred(inner),
            })
            .collect(),
        serde_json::Value::Array(list) => list.iter().flat_map(referred).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn brokers_are_needed_and_the_setting_that_names_them_is_told() {
    let unknown = types(&["AWS::EC2::EIP", "AWS::MSK::Cluster", "AWS::MSK::Topic"]);
    let missing = without(plan_with(None, "dev"), &unknown).expect_err("services need brokers");
    assert_eq!(
        missing.iter().map(|one| one.kind.as_str()).collect::<Vec<_>>(),
        ["AWS::MSK::Cluster", "AWS::MSK::Topic"]
    );
    let remedy = missing[0].remedy.expect("a remedy");
    assert!(remedy.contains("kafka.bootstrap = \"host:9092\""), "{remedy}");
}

#[test]
fn what_nothing_replaces_is_named_before_anything_is_made() {
    let missing = without(plan_with(None, "dev"), &types(&["AWS::ECS::Service"])).expect_err("services need ECS");
    let expected = Missing {
        kind: "AWS::ECS::Service".into(),
        remedy: None,
    };
    assert_eq!(missing, [expected]);
}

#[test]
fn each_endpoint_is_told_from_the_others_by_its_health() {
    let of = |health: serde_json::Value| Identity::of(&health, "http://127.0.0.1:4566/");
    let pro =
        of(json!({ "services": { "ecs": "available", "kafka": "disabled" }, "edition": "pro", "version": "4.14.0" }));
    assert_eq!(
        (pro.kind, pro.to_string().as_str()),
        (Kind::LocalStack, "LocalStack pro 4.14.0")
    );
    assert_eq!(
        (pro.lists("ecs"), pro.lists("kafka"), pro.lists("rds")),
        (Some(true), Some(false), Some(false))
    );
    let embedded = of(json!({ "services": {}, "edition": "embedded", "version": "0.1.0" }));
    assert!(!embedded.is_foreign() && embedded.gaps().count() == 0);
    let ministack = of(json!({ "services": {}, "edition": "light", "version": "1.5.33", "product": "ministack" }));
    assert_eq!(ministack.to_string(), "ministack light 1.5.33");
    assert_eq!(of(json!({ "services": {}, "product": "moto" })).to_string(), "moto");
    let named = of(json!({ "services": ["s3"], "product": "fakecloud", "version": "0.18.0" }));
    assert_eq!(
        (named.kind, named.to_string().as_str()),
        (Kind::Other, "fakecloud 0.18.0")
    );
    let other = of(json!({ "services": { "s3": "running" }, "edition": "sky", "version": "9" }));
    assert_eq!(other.to_string(), "an endpoint that is not known sky 9");
    assert!(
        other
            .gaps()
            .all(|(standing, _)| standing == matrix::Standing::Unverified)
    );
}

#[test]
fn images_and_requests_go_where_each_endpoint_takes_them() {
    let of = |product: &str, edition: &str| {
        let health = json!({ "services": {}, "product": product, "edition": edition });
        Identity::of(&health, "http://127.0.0.1:4651")
    };
    let uri = "000000000000.dkr.ecr.us-east-1.amazonaws.com/shop-dev/web";
    let ministack = of("ministack", "light");
    assert_eq!(
        ministack.push_address(uri).as_deref(),
        Some("127.0.0.1:4651/shop-dev/web")
    );
    let host = "shop-dev-lb-1a2b3c4d.us-east-1.elb.amazonaws.com";
    assert_eq!(
        ministack.front_door(host).as_deref(),
        Some("http://127.0.0.1:4651/_alb/shop-dev-lb")
    );
    let localstack = of("", "pro");
    assert_eq!(localstack.push_address(uri).as_deref(), Some(uri));
    let host = "shop.elb.localhost.localstack.cloud";
    assert_eq!(localstack.front_door(host), Some(format!("http://{host}:4651")));
    assert_eq!(of("moto", "").push_address(uri), None, "moto has no registry");
    assert_eq!(Identity::aws().push_address(uri).as_deref(), Some(uri));
    assert_eq!(Identity::aws().front_door(host), None);
}

#[test]
fn a_database_gets_a_secret_of_its_stack_where_rds_keeps_none() {
    let mut plan = plan_with(Some("broker:9092"), "dev");
    assert!(credentials::generate(&mut plan));
    let data = plan
        .stacks
        .iter()
        .find(|stack| stack.short_name == "data")
        .expect("databases");
    let text = data.template.to_string();
    assert!(
        !text.contains("MasterUserSecret") && !text.contains("ManageMasterUserPassword"),
        "{text}"
    );
    let resources = &data.template["Resources"];
    let secret = &resources["PatientDatabaseCredentials"]["Properties"]["GenerateSecretString"];
    assert_eq!(secret["SecretStringTemplate"], r#"{"username":"patient_owner"}"#);
    assert_eq!(
        resources["PatientDatabase"]["Properties"]["MasterUserPassword"]["Fn::Sub"],
        "{{resolve:secretsmanager:${PatientDatabaseCredentials}:SecretString:password}}",
        "the password itself is in no template"
    );
    assert_eq!(
        data.template["Outputs"]["PatientDatabaseSecretArn"]["Value"]["Ref"],
        "PatientDatabaseCredentials"
    );
    assert!(!credentials::generate(&mut plan), "once is enough");
}

#[test]
fn localstacks_list_of_services_tells_what_its_plan_does_not_have() {
    let plan = plan_with(None, "dev");
    let of = |edition: &str, services: serde_json::Value| {
        Identity::of(
            &json!({ "services": services, "edition": edition }),
            "http://127.0.0.1:4566",
        )
    };
    let base = json!({
        "application-autoscaling": "available", "cloudwatch": "running", "ec2": "available", "ecr": "available",
        "ecs": "available", "elbv2": "available", "iam": "running", "kafka": "disabled", "logs": "available",
        "rds": "available", "secretsmanager": "available", "servicediscovery": "available",
    });
    let missing = unknown::unlisted(&of("pro", base), &plan);
    assert!(
        !missing.is_empty() && missing.iter().all(|kind| kind.starts_with("AWS::MSK::")),
        "{missing:?}"
    );
    let community = of(
        "community",
        json!({ "cloudformation": "available", "ec2": "available", "s3": "available" }),
    );
    assert!(unknown::unlisted(&community, &plan).contains("AWS::ECS::Service"));
    let silent = of("pro", json!({}));
    assert!(
        unknown::unlisted(&silent, &plan).is_empty(),
        "who lists nothing is believed until it is asked"
    );
}

#[test]
fn the_matrix_tells_of_every_gap_what_is_done_instead() {
    let moto = Identity::of(&json!({ "services": {}, "product": "moto" }), "http://127.0.0.1:5000");
    assert!(moto.lacks(Capability::Outputs) && moto.lacks(Capability::CancelUpdate));
    assert_eq!(moto.gaps().count(), matrix::MATRIX.len(), "it has nothing of it");
    let pro = Identity::of(
        &json!({ "services": {}, "edition": "pro", "version": "4.14.0" }),
        "http://127.0.0.1:4566",
    );
    let lines = pro
        .gaps()
        .map(|(standing, row)| format!("{}: {standing}; {}\n", row.what, row.instead));
    insta::assert_snapshot!(lines.collect::<String>());
}

/// The resources of a stack as LocalStack lists them where it does not know databases, and skips one rule.
fn listed(plan: &Plan, body: &str) -> String {
    let asked = url::form_urlencoded::parse(body.as_bytes()).find(|(key, _)| key == "StackName");
    let name = asked.map(|(_, value)| value.into_owned()).unwrap_or_default();
    let template = plan
        .stacks
        .iter()
        .find(|stack| stack.name == name)
        .map(|stack| &stack.template);
    let resources = template
        .and_then(|template| template["Resources"].as_object())
        .into_iter()
        .flatten();
    let kept = resources.filter(|(id, _)| *id != "PatientServiceToAuthServicePort4005Egress");
    let members = kept.map(|(id, resource)| {
        let kind = resource["Type"].as_str().unwrap_or_default();
        let physical = if kind == "AWS::RDS::DBInstance" {
            "unknown".to_owned()
        } else {
            format!("made-{id}")
        };
        format!(
            "<member><LogicalResourceId>{id}</LogicalResourceId><PhysicalResourceId>{physical}</PhysicalResourceId>\
             <ResourceType>{kind}</ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>"
        )
    });
    let result = format!(
        "<StackResourceSummaries>{}</StackResourceSummaries>",
        members.collect::<String>()
    );
    format!(
        "<ListStackResourcesResponse><ListStackResourcesResult>{result}</ListStackResourcesResult></ListStackResourcesResponse>"
    )
}

#[tokio::test]
async fn stacks_that_are_complete_with_nothing_behind_them_are_found_out() {
    let plan = plan_with(Some("broker:9092"), "dev");
    let script = plan.clone();
    let endpoint = Scripted::start(move |operation, body| match operation {
        "ListStackResources" => Some((200, listed(&script, body))),
        other => panic!("{other} was not expected"),
    })
    .await;
    let (ui, said) = Ui::recording();
    let mut aws = endpoint.aws(&ui).await;
    let health = json!({ "services": {}, "edition": "pro", "version": "4.14.0" });
    aws.endpoint = Arc::new(Identity::of(&health, "http://127.0.0.1:4566"));

    let error = hollow::verify(&aws, &ui, &plan, false)
        .await
        .expect_err("no database runs");
    assert_eq!(error.exit_code(), 6);
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap_or_default()));
    let warned = |needle: &str| {
        let said = said.lock();
        said.iter()
            .any(|event| matches!(event, Event::Warning { text } if text.contains(needle)))
    };
    assert!(
        warned("PatientServiceToAuthServicePort4005Egress"),
        "what can be done without is told, too"
    );
    assert!(!warned("PatientDatabase"));

    hollow::verify(&aws, &ui, &plan, true)
        .await
        .expect("complete stacks are enough");
    assert!(warned("PatientDatabase"), "and what is not there is told all the same");
}
