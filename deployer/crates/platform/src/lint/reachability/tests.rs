use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::manifest::Egress;

/// The plan of an environment, with the committed templates in the place of those just made.
fn golden(environment: &str) -> (Manifest, Plan) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let manifest = Manifest::load(&root.join("deployer.toml"), environment).expect("the manifest");
    let mut plan = stacks::plan(&manifest);
    for stack in &mut plan.stacks {
        let file = root.join(format!("templates/{environment}/{}.json", stack.short));
        let text = std::fs::read_to_string(&file).expect("a golden template");
        stack.template = serde_json::from_str(&text).expect("JSON");
    }
    (manifest, plan)
}

fn template<'a>(plan: &'a mut Plan, short: &str) -> &'a mut Value {
    let found = plan.stacks.iter_mut().find(|stack| stack.short == short);
    &mut found.expect("the stack").template["Resources"]
}

fn told(manifest: &Manifest, plan: &Plan) -> Vec<String> {
    check(manifest, plan)
        .into_iter()
        .map(|f| format!("{}/{}: {}", f.stack, f.place, f.what))
        .collect()
}

#[test]
fn every_link_reaches_and_nothing_else_does() {
    for environment in ["dev", "prod"] {
        let (manifest, plan) = golden(environment);
        let world = World::of(&plan);
        assert_eq!(world.unknown, [], "{environment}");
        assert_eq!(world.ways(), declared(&manifest), "{environment}");
        assert_eq!(told(&manifest, &plan), Vec::<String>::new(), "{environment}");
        let kinds = |kind| {
            world
                .components
                .iter()
                .filter(|component| component.kind == kind)
                .count()
        };
        assert_eq!(
            (kinds(Kind::LoadBalancer), kinds(Kind::Tasks), kinds(Kind::Store)),
            (1, manifest.services.len(), manifest.databases.len() + 1)
        );
    }
}

#[test]
fn only_the_load_balancer_is_reachable_from_the_internet() {
    for environment in ["dev", "prod"] {
        let (manifest, plan) = golden(environment);
        let open = World::of(&plan)
            .ways()
            .into_iter()
            .filter(|way| way.from == End::Internet);
        let open: Vec<(End, u16)> = open.map(|way| (way.to, way.port)).collect();
        assert_eq!(open, [(End::of(&Group::LoadBalancer), manifest.ingress.port)]);
    }
}

#[test]
fn without_nat_services_reach_the_endpoints_and_not_the_internet() {
    let (mut manifest, _) = golden("prod");
    manifest.network.nat = Nat::None;
    manifest.ingress.certificate = Some("arn:aws:acm:eu-west-1:000000000000:certificate/1".into());
    manifest.ingress.port = 443;
    let plan = stacks::plan(&manifest);
    assert_eq!(told(&manifest, &plan), Vec::<String>::new());
    let ways = World::of(&plan).ways();
    assert_eq!(ways, declared(&manifest));
    assert!(ways.iter().all(|way| way.to != End::Internet));
    let door: Vec<u16> = ways
        .iter()
        .filter(|way| way.from == End::Internet)
        .map(|way| way.port)
        .collect();
    assert_eq!(door, [80, 443]);
    assert!(
        World::of(&plan)
            .components
            .iter()
            .any(|component| component.kind == Kind::Endpoint)
    );
}

#[test]
fn a_way_out_that_the_manifest_names_is_open_for_that_service_alone() {
    let (mut manifest, _) = golden("dev");
    let notification = manifest.services.iter_mut().find(|s| s.name == "notification-service");
    notification.expect("the service").egress.push(Egress {
        cidr: "203.0.113.0/24".into(),
        port: 587,
        reason: "mail".into(),
    });
    let plan = stacks::plan(&manifest);
    assert_eq!(told(&manifest, &plan), Vec::<String>::new());
    let ways = World::of(&plan).ways().into_iter().filter(|way| way.port == 587);
    let ways: Vec<(End, End)> = ways.map(|way| (way.from, way.to)).collect();
    let from = End::of(&Group::Service("notification-service".into()));
    assert_eq!(ways, [(from, End::Internet)]);
}

#[test]
fn a_rule_too_many_is_a_way_that_no_link_asks_for() {
    let (manifest, mut plan) = golden("dev");
    template(&mut plan, "network")["BillingDatabaseSecurityGroup"]["Properties"]["SecurityGroupIngress"] =
        json!([{ "IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "CidrIp": "10.20.0.0/16" }]);
    let found = template(&mut plan, "network")["PatientServiceToPatientDatabasePort5432Egress"]["Properties"].take();
    template(&mut plan, "network")["PatientServiceToPatientDatabasePort5432Egress"] = json!({
        "Type": "AWS::EC2::SecurityGroupEgress",
        "Properties": { "GroupId": found["GroupId"], "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432,
                        "CidrIp": "10.20.0.0/16" } });
    let told = told(&manifest, &plan);
    let surplus =
        "network/BillingDatabase: PatientService reaches it on tcp 5432, which no link of the manifest asks for";
    assert!(told.contains(&surplus.to_owned()), "{told:#?}");
}

#[test]
fn an_open_door_a_route_out_and_a_peering_are_found() {
    let (manifest, mut plan) = golden("dev");
    let network = template(&mut plan, "network");
    network["PatientDatabaseSecurityGroup"]["Properties"]["SecurityGroupIngress"] =
        json!([{ "IpProtocol": "-1", "CidrIp": "0.0.0.0/0" }]);
    network["Leak"] = json!({ "Type": "AWS::EC2::Route", "Properties": {
        "RouteTableId": { "Ref": "IsolatedRouteTable1" }, "DestinationCidrBlock": "0.0.0.0/0",
        "GatewayId": { "Ref": "InternetGateway" } } });
    network["Peering"] = json!({ "Type": "AWS::EC2::VPCPeeringConnection", "Properties": {} });
    template(&mut plan, "data")["PatientDatabase"]["Properties"]["PubliclyAccessible"] = true.into();
    let told = told(&manifest, &plan);
    for expected in [
        "network/PatientDatabase: the internet reaches it on tcp 5432, which no link of the manifest asks for",
        "data/PatientDatabase: it stores data, and its subnets have a route out of the VPC",
        "network/Peering: AWS::EC2::VPCPeeringConnection is nothing that reachability is computed over",
    ] {
        assert!(told.contains(&expected.to_owned()), "{expected} in {told:#?}");
    }
}

#[test]
fn a_port_where_nothing_listens_and_a_group_of_nobody_are_found() {
    let (manifest, mut plan) = golden("dev");
    let task = &mut template(&mut plan, "billing-service")["TaskDefinition"]["Properties"]["ContainerDefinitions"][0];
    task["PortMappings"] = json!([{ "ContainerPort": 4001 }]);
    let network = &mut template(&mut plan, "auth-service")["Service"]["Properties"]["NetworkConfiguration"];
    network["AwsvpcConfiguration"]["SecurityGroups"] = json!([]);
    let told = told(&manifest, &plan);
    for expected in [
        "billing-service/Service: PatientService is let in on tcp 9001, where nothing listens",
        "auth-service/Service: its subnets, security groups or ports cannot be told from the templates",
    ] {
        assert!(told.contains(&expected.to_owned()), "{expected} in {told:#?}");
    }
}
