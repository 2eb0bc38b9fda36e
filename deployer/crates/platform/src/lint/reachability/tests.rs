use serde_json::{Value, json};

use super::*;
use crate::manifest::{Certificate, Egress, Nat};
use crate::testing::{move_to_existing_network, new_network, plan_of, resources};

fn undeclared(from: &str, port: u16) -> LintProblem {
    LintProblem::UndeclaredPath {
        from: from.into(),
        protocol: "tcp",
        port,
    }
}

#[test]
fn every_link_is_open_and_no_other_path() {
    for environment in ["dev", "prod"] {
        let (manifest, plan) = plan_of(environment);
        let model = NetworkModel::of(&plan);
        assert_eq!(model.unclear, [], "{environment}");
        assert_eq!(model.open_paths(), declared_paths(&manifest), "{environment}");
        assert_eq!(check(&manifest, &plan), [], "{environment}");
        let count = |kind| {
            model
                .components
                .iter()
                .filter(|component| component.kind == kind)
                .count()
        };
        assert_eq!(
            [ComponentKind::LoadBalancer, ComponentKind::Tasks, ComponentKind::Store].map(count),
            [1, manifest.services.len(), manifest.databases.len() + 1]
        );
    }
}

#[test]
fn only_the_load_balancer_is_reachable_from_the_internet() {
    for environment in ["dev", "prod"] {
        let (manifest, plan) = plan_of(environment);
        let open = NetworkModel::of(&plan)
            .open_paths()
            .into_iter()
            .filter(|path| path.from == PathEnd::Internet);
        let open: Vec<(PathEnd, u16)> = open.map(|path| (path.to, path.port)).collect();
        assert_eq!(open, [(PathEnd::of(&Group::LoadBalancer), manifest.ingress.port)]);
    }
}

#[test]
fn without_nat_services_reach_the_endpoints_and_not_the_internet() {
    let (mut manifest, _) = plan_of("prod");
    new_network(&mut manifest).nat = Nat::None;
    let arn = "arn:aws:acm:eu-west-1:000000000000:certificate/1";
    manifest.ingress.certificate = Some(Certificate::Existing(arn.into()));
    manifest.ingress.port = 443;
    let plan = stacks::plan(&manifest);
    assert_eq!(check(&manifest, &plan), []);
    let model = NetworkModel::of(&plan);
    let paths = model.open_paths();
    assert_eq!(paths, declared_paths(&manifest));
    assert!(paths.iter().all(|path| path.to != PathEnd::Internet));
    let public: Vec<u16> = paths
        .iter()
        .filter(|path| path.from == PathEnd::Internet)
        .map(|path| path.port)
        .collect();
    assert_eq!(public, [80, 443]);
    assert!(
        model
            .components
            .iter()
            .any(|component| component.kind == ComponentKind::Endpoint)
    );
}

#[test]
fn in_an_existing_network_the_same_paths_are_open() {
    for environment in ["dev", "prod"] {
        let (mut manifest, before) = plan_of(environment);
        move_to_existing_network(&mut manifest);
        let plan = stacks::plan(&manifest);
        assert_eq!(crate::lint::check(&manifest, &plan), []);
        let model = NetworkModel::of(&plan);
        assert_eq!(model.open_paths(), NetworkModel::of(&before).open_paths());
        let reachable = model.components.iter().filter(|one| one.kind == ComponentKind::Store);
        assert!(reachable.clone().count() > 1);
    }
}

#[test]
fn in_an_existing_network_an_open_rule_is_found_for_every_address_that_its_subnets_may_have() {
    let (mut manifest, _) = plan_of("dev");
    move_to_existing_network(&mut manifest);
    let mut plan = stacks::plan(&manifest);
    let network = resources(&mut plan, "network");
    network["InvoicesDatabaseSecurityGroup"]["Properties"]["SecurityGroupIngress"] =
        json!([{ "IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "CidrIp": "172.16.0.0/12" }]);
    let egress = &mut network["OrdersToOrdersDatabasePort5432Egress"]["Properties"];
    egress["CidrIp"] = json!("172.20.0.0/16");
    egress["DestinationSecurityGroupId"] = Value::Null;
    let found = check(&manifest, &plan);
    let expected = LintFinding::new("network", "InvoicesDatabase", undeclared("Orders", 5432));
    assert!(found.contains(&expected), "{found:#?}");
}

#[test]
fn egress_of_the_manifest_is_open_for_that_service_alone() {
    let (mut manifest, _) = plan_of("dev");
    let invoices = manifest.services.iter_mut().find(|service| service.name == "invoices");
    invoices.expect("the service").egress.push(Egress {
        network: "203.0.113.0/24".parse().expect("a network"),
        port: 587,
        reason: "mail".into(),
    });
    let plan = stacks::plan(&manifest);
    assert_eq!(check(&manifest, &plan), []);
    let paths = NetworkModel::of(&plan).open_paths().into_iter();
    let paths: Vec<(PathEnd, PathEnd)> = paths
        .filter(|path| path.port == 587)
        .map(|path| (path.from, path.to))
        .collect();
    let from = PathEnd::of(&Group::Service("invoices".into()));
    assert_eq!(paths, [(from, PathEnd::Internet)]);
}

#[test]
fn a_rule_too_many_is_a_path_without_a_link() {
    let (manifest, mut plan) = plan_of("dev");
    let network = resources(&mut plan, "network");
    network["InvoicesDatabaseSecurityGroup"]["Properties"]["SecurityGroupIngress"] =
        json!([{ "IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "CidrIp": "10.20.0.0/16" }]);
    let egress = &mut network["OrdersToOrdersDatabasePort5432Egress"]["Properties"];
    egress["CidrIp"] = json!("10.20.0.0/16");
    egress["DestinationSecurityGroupId"] = Value::Null;
    let found = check(&manifest, &plan);
    let expected = LintFinding::new("network", "InvoicesDatabase", undeclared("Orders", 5432));
    assert!(found.contains(&expected), "{found:#?}");
}

#[test]
fn an_open_rule_a_route_out_and_a_peering_are_found() {
    let (manifest, mut plan) = plan_of("dev");
    let network = resources(&mut plan, "network");
    network["OrdersDatabaseSecurityGroup"]["Properties"]["SecurityGroupIngress"] =
        json!([{ "IpProtocol": "-1", "CidrIp": "0.0.0.0/0" }]);
    let route = json!({ "Type": "AWS::EC2::Route", "Properties": {
        "RouteTableId": { "Ref": "IsolatedRouteTable1" }, "DestinationCidrBlock": "0.0.0.0/0",
        "GatewayId": { "Ref": "InternetGateway" } } });
    network.insert("Leak".into(), route);
    let peering = json!({ "Type": "AWS::EC2::VPCPeeringConnection", "Properties": {} });
    network.insert("Peering".into(), peering);
    resources(&mut plan, "data")["OrdersDatabase"]["Properties"]["PubliclyAccessible"] = true.into();
    let found = check(&manifest, &plan);
    let peering = LintProblem::UnmodelledType("AWS::EC2::VPCPeeringConnection".into());
    for expected in [
        LintFinding::new("network", "OrdersDatabase", undeclared("the internet", 5432)),
        LintFinding::new("data", "OrdersDatabase", LintProblem::NotIsolated),
        LintFinding::new("network", "Peering", peering),
    ] {
        assert!(found.contains(&expected), "{expected} in {found:#?}");
    }
}

#[test]
fn a_port_without_a_listener_and_tasks_without_a_group_are_found() {
    let (manifest, mut plan) = plan_of("dev");
    let definition = &mut resources(&mut plan, "orders")["TaskDefinition"]["Properties"];
    definition["ContainerDefinitions"][0]["PortMappings"] = json!([{ "ContainerPort": 8001 }]);
    let network = &mut resources(&mut plan, "invoices")["Service"]["Properties"]["NetworkConfiguration"];
    network["AwsvpcConfiguration"]["SecurityGroups"] = json!([]);
    let found = check(&manifest, &plan);
    let closed = LintProblem::ClosedPort {
        from: "Web".into(),
        protocol: "tcp",
        port: 9001,
    };
    for expected in [
        LintFinding::new("orders", "Service", closed),
        LintFinding::new("invoices", "Service", LintProblem::UnclearComponent),
    ] {
        assert!(found.contains(&expected), "{expected} in {found:#?}");
    }
}
