//! Names, connections and credentials of services.

use serde_json::{Value, json};

use crate::manifest::{Certificate, Nat};
use crate::stacks::{Plan, plan};
use crate::testing::{new_network, plan_of};

fn properties<'a>(plan: &'a Plan, stack: &str, resource: &str) -> &'a Value {
    &plan.stack(stack).expect("the stack").template["Resources"][resource]["Properties"]
}

fn container<'a>(plan: &'a Plan, service: &str) -> &'a Value {
    &properties(plan, service, "TaskDefinition")["ContainerDefinitions"][0]
}

fn variable<'a>(plan: &'a Plan, service: &str, name: &str) -> Option<&'a Value> {
    let variables = container(plan, service)["Environment"].as_array();
    let found = variables
        .into_iter()
        .flatten()
        .find(|variable| variable["Name"] == name);
    found.map(|variable| &variable["Value"])
}

#[test]
fn a_name_that_does_not_exist_yet_is_cached_for_seconds() {
    let (_, plan) = plan_of("dev");
    let namespace = properties(&plan, "platform", "Namespace");
    assert_eq!(namespace["Properties"]["DnsProperties"]["SOA"]["TTL"], 10);
}

#[test]
fn a_service_that_others_call_accepts_requests_for_longer_than_its_address_is_cached() {
    let (mut manifest, plan) = plan_of("prod");
    let ttl = &properties(&plan, "orders", "Discovery")["DnsConfig"]["DnsRecords"][0]["TTL"];
    assert_eq!(
        (ttl, variable(&plan, "orders", "SHUTDOWN_DELAY")),
        (&json!(10), Some(&json!("25")))
    );
    assert_eq!(container(&plan, "orders")["StopTimeout"], 57);
    assert_eq!(
        variable(&plan, "web", "SHUTDOWN_DELAY"),
        None,
        "only the load balancer finds it"
    );
    assert_eq!(container(&plan, "web")["StopTimeout"], 35);

    let orders = manifest.services.iter_mut().find(|service| service.name == "orders");
    let environment = &mut orders.expect("the service").environment;
    environment.insert("SHUTDOWN_DELAY".into(), "3".into());
    let plan = super::plan(&manifest);
    assert_eq!(
        variable(&plan, "orders", "SHUTDOWN_DELAY"),
        Some(&json!("3")),
        "the manifest overrides it"
    );
    assert_eq!(container(&plan, "orders")["StopTimeout"], 35);
}

#[test]
fn a_running_task_may_read_the_rotated_password_of_its_database_alone() {
    let (_, plan) = plan_of("prod");
    let credentials = json!({ "Ref": "OrdersDatabaseSecretArn" });
    assert_eq!(variable(&plan, "orders", "DATABASE_SECRET_ARN"), Some(&credentials));
    let role = properties(&plan, "orders", "TaskRole");
    let statements = role["Policies"][0]["PolicyDocument"]["Statement"]
        .as_array()
        .expect("statements");
    let about = |prefix: &str| -> Vec<Value> {
        let is_about = |statement: &&Value| {
            statement["Action"][0]
                .as_str()
                .is_some_and(|action| action.starts_with(prefix))
        };
        statements.iter().filter(is_about).cloned().collect()
    };
    let read = json!({ "Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": credentials });
    assert_eq!(about("secretsmanager:"), [read]);
    let via = json!({ "Fn::Sub": "secretsmanager.${AWS::Region}.amazonaws.com" });
    let decrypt = json!({
        "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": { "Ref": "KeyArn" },
        "Condition": { "StringEquals": { "kms:ViaService": via } },
    });
    assert_eq!(about("kms:"), [decrypt]);
    assert_eq!(
        properties(&plan, "web", "TaskRole").get("Policies"),
        None,
        "it has no database"
    );
}

#[test]
fn another_port_of_the_public_service_replaces_nothing() {
    let (mut manifest, before) = plan_of("dev");
    let web = manifest
        .services
        .iter_mut()
        .find(|service| service.name == "web")
        .expect("the service");
    for port in &mut web.ports {
        port.number += 1;
    }
    let after = plan(&manifest);
    let group = |plan| properties(plan, "web", "TargetGroup").clone();
    assert_eq!(group(&before), group(&after));
    let registered = |plan| properties(plan, "web", "Service")["LoadBalancers"][0]["ContainerPort"].clone();
    assert_ne!(registered(&before), registered(&after));
}

#[test]
fn the_endpoint_of_s3_is_limited_to_layers_only_without_nat() {
    let (mut manifest, before) = plan_of("dev");
    let policy = |plan: &Plan| properties(plan, "network", "S3Endpoint").get("PolicyDocument").cloned();
    assert_eq!(policy(&before), None);
    new_network(&mut manifest).nat = Nat::None;
    let policy = policy(&plan(&manifest)).expect("a policy");
    assert_eq!(policy["Statement"][0]["Action"], "s3:GetObject");
}

#[test]
fn a_hosted_zone_gets_the_certificate_of_the_listener_and_the_record_of_the_load_balancer() {
    let (mut manifest, _) = plan_of("prod");
    manifest.ingress.certificate = Some(Certificate::InZone("Z0123456789ABCDEFGHIJ".to_owned()));
    manifest.ingress.host = Some("shop.example.org".to_owned());
    let plan = plan(&manifest);
    let zone = json!("Z0123456789ABCDEFGHIJ");
    let certificate = properties(&plan, "platform", "Certificate");
    assert_eq!(certificate["DomainValidationOptions"][0]["HostedZoneId"], zone);
    assert_eq!(certificate["DomainName"], "shop.example.org");
    let listener = properties(&plan, "platform", "Listener");
    assert_eq!(
        listener["Certificates"],
        json!([{ "CertificateArn": { "Ref": "Certificate" } }])
    );
    let record = properties(&plan, "platform", "PublicRecord");
    assert_eq!(
        (&record["HostedZoneId"], &record["Name"]),
        (&zone, &json!("shop.example.org"))
    );
    assert_eq!(
        record["AliasTarget"]["DNSName"],
        json!({ "Fn::GetAtt": ["LoadBalancer", "DNSName"] })
    );
}

#[test]
fn a_web_acl_filters_the_requests_to_the_load_balancer() {
    const ACL: &str =
        "arn:aws:wafv2:eu-central-1:111122223333:regional/webacl/shop/00000000-0000-0000-0000-000000000000";
    let (mut manifest, _) = plan_of("prod");
    manifest.ingress.web_acl = Some(ACL.to_owned());
    let plan = plan(&manifest);
    let association = properties(&plan, "platform", "WebAclAssociation");
    assert_eq!(
        *association,
        json!({ "ResourceArn": { "Ref": "LoadBalancer" }, "WebACLArn": ACL })
    );
}
