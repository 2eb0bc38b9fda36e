//! The routes of the subnets: the load balancer's to the internet, the tasks' to AWS's APIs.

use aws::ec2::SecurityGroupRule;
use aws::subnets::Subnet;
use aws::vpc::{Route, RouteTable, VpcEndpoint};
use ipnet::IpNet;
use platform::manifest::{Manifest, SecretSource, SubnetTier};

use super::super::problem::NetworkProblem;
use super::super::{PreflightFinding, warning};
use super::Survey;

const ANYWHERE: &str = "0.0.0.0/0";

/// APIs that the start of every Fargate task requires: its image and its log (Amazon ECR User Guide: "Amazon ECR interface VPC
/// endpoints", considerations for Amazon ECS).
const APIS: [&str; 3] = ["ecr.api", "ecr.dkr", "logs"];
/// Layers of images are in Amazon S3, whose gateway endpoint is in route tables (same page: "Create the Amazon S3 gateway endpoint").
const LAYERS: &str = "s3";

/// Checks the routes of every subnet.
pub fn check(survey: &Survey, manifest: &Manifest) -> Vec<PreflightFinding> {
    let mut findings = Vec::new();
    for subnet in survey.of(SubnetTier::Public) {
        let Some(table) = table(survey, subnet) else {
            findings.push(no_table(subnet));
            continue;
        };
        // "Internet-facing": the subnets must have a route to an internet gateway (Application Load Balancers: "Create a load balancer").
        if !default_route(table).is_some_and(|route| route.is_active && route.target.starts_with("igw-")) {
            findings.push(survey.visible(NetworkProblem::NotPublic {
                subnet: subnet.id.clone(),
                table: table.id.clone(),
            }));
        }
    }
    for subnet in survey.of(SubnetTier::Private) {
        findings.extend(match table(survey, subnet) {
            Some(table) => way_out(survey, manifest, subnet, table),
            None => Some(no_table(subnet)),
        });
    }
    for subnet in survey.of(SubnetTier::Isolated) {
        let Some(table) = table(survey, subnet) else { continue };
        if default_route(table).is_some_and(|route| route.target.starts_with("igw-")) {
            findings.push(warning(NetworkProblem::PublicData {
                subnet: subnet.id.clone(),
                table: table.id.clone(),
            }));
        }
    }
    findings
}

fn no_table(subnet: &Subnet) -> PreflightFinding {
    let subnet = subnet.id.clone();
    warning(NetworkProblem::NoTable { subnet })
}

/// Returns the table of a subnet: the one that names it, or the main one (Amazon VPC User Guide: "Subnet route tables").
fn table<'a>(survey: &'a Survey, subnet: &Subnet) -> Option<&'a RouteTable> {
    let tables = &survey.tables;
    let own = tables.iter().find(|table| table.subnets.contains(&subnet.id));
    own.or_else(|| tables.iter().find(|table| table.is_main))
}

fn default_route(table: &RouteTable) -> Option<&Route> {
    table.routes.iter().find(|route| route.destination == ANYWHERE)
}

/// Returns whether tasks connect to public addresses over a route. An internet gateway translates public addresses alone (Amazon VPC User
/// Guide: "Enable internet access for a VPC using an internet gateway"), and tasks in private subnets have none.
fn leads_out(route: &Route) -> bool {
    route.is_active && !route.target.starts_with("igw-") && route.target != "local"
}

/// Returns the APIs that the tasks call while they start.
fn apis(manifest: &Manifest) -> Vec<&'static str> {
    let mut apis = APIS.to_vec();
    let services = &manifest.services;
    let is_parameter = |source: &SecretSource| matches!(source, SecretSource::Parameter { .. });
    let existing = || services.iter().flat_map(|service| &service.existing_secrets);
    let has_secrets = services.iter().any(|service| {
        service.database.is_some()
            || !service.secrets.is_empty()
            || service.calls.iter().any(|call| call.secret.is_some())
    });
    if has_secrets || existing().any(|secret| !is_parameter(&secret.source)) {
        apis.push("secretsmanager");
    }
    if existing().any(|secret| is_parameter(&secret.source)) {
        apis.push("ssm");
    }
    apis.push(LAYERS);
    apis
}

fn serves(endpoint: &VpcEndpoint, api: &str, table: &RouteTable) -> bool {
    endpoint.is_usable && endpoint.api == api && (endpoint.is_interface || endpoint.route_tables.contains(&table.id))
}

fn way_out(survey: &Survey, manifest: &Manifest, subnet: &Subnet, table: &RouteTable) -> Option<PreflightFinding> {
    let default = default_route(table);
    if default.is_some_and(leads_out) {
        return None;
    }
    let missing: Vec<String> = apis(manifest)
        .into_iter()
        .filter(|api| !survey.endpoints.iter().any(|endpoint| serves(endpoint, api, table)))
        .map(str::to_owned)
        .collect();
    if missing.is_empty() {
        return None;
    }
    let (subnet, table_id) = (subnet.id.clone(), table.id.clone());
    // A hub VPC may have the endpoints, and private hosted zones with their names.
    let hub = table.routes.iter().find(|route| {
        let kinds = ["tgw-", "pcx-", "vgw-", "arn:", "lgw-"];
        leads_out(route) && kinds.iter().any(|kind| route.target.starts_with(kind))
    });
    if let (Some(hub), None) = (hub, default) {
        return Some(warning(NetworkProblem::UnknownWayOut {
            subnet,
            table: table_id,
            missing,
            through: hub.target.clone(),
        }));
    }
    Some(survey.visible(NetworkProblem::NoWayOut {
        subnet,
        table: table_id,
        target: default.map(|route| route.target.clone()),
        missing,
    }))
}

/// Returns the interface endpoints through which alone tasks reach an API, each with the subnets of those tasks.
pub fn needed_interfaces<'a>(survey: &'a Survey, manifest: &Manifest) -> Vec<(&'a VpcEndpoint, Vec<&'a Subnet>)> {
    let closed: Vec<&Subnet> = survey
        .of(SubnetTier::Private)
        .filter(|subnet| {
            let table = table(survey, subnet);
            table.is_some_and(|table| !default_route(table).is_some_and(leads_out))
        })
        .collect();
    if closed.is_empty() {
        return Vec::new();
    }
    let apis = apis(manifest);
    let needed = survey.endpoints.iter().filter(|endpoint| {
        endpoint.is_usable && endpoint.is_interface && endpoint.api != LAYERS && apis.contains(&endpoint.api.as_str())
    });
    needed.map(|endpoint| (endpoint, closed.clone())).collect()
}

/// Returns whether a rule accepts HTTPS from every address of a subnet. A prefix list is not read, and taken to do so.
pub fn accepts(rule: &SecurityGroupRule, subnet: &Subnet) -> bool {
    let is_https = match rule.protocol.as_str() {
        "-1" => true,
        "tcp" | "6" => (rule.ports.0..=rule.ports.1).contains(&443) || rule.ports.0 < 0,
        _ => false,
    };
    let (Ok(peer), Ok(own)) = (rule.peer.parse::<IpNet>(), subnet.cidr.parse::<IpNet>()) else {
        return is_https && !rule.egress && rule.peer.starts_with("pl-");
    };
    is_https && !rule.egress && peer.contains(&own)
}
