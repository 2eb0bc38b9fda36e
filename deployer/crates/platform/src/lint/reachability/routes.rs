//! Subnets and their routes.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde_json::Value;

use super::components::{Component, ComponentKind};
use super::expression::resources;
use super::network;
use crate::lint::finding::{LintFinding, LintProblem};
use crate::manifest::SubnetTier;
use crate::stacks::{Plan, Source, Stack};

/// EC2 types that are modelled; another type could open a path that is not computed here.
const MODELLED: [&str; 15] = [
    "VPC",
    "Subnet",
    "RouteTable",
    "SubnetRouteTableAssociation",
    "Route",
    "InternetGateway",
    "VPCGatewayAttachment",
    "NatGateway",
    "EIP",
    "VPCEndpoint",
    "SecurityGroup",
    "SecurityGroupIngress",
    "SecurityGroupEgress",
    "FlowLog",
    "KeyPair",
];

/// The target of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    InternetGateway,
    Nat,
    Other,
}

#[derive(Debug, Default)]
pub struct Routes {
    pub vpc: Option<IpNet>,
    /// The network and route table of each subnet.
    subnets: BTreeMap<String, (Option<IpNet>, Option<String>)>,
    /// The routes of each table, besides the one inside the VPC.
    tables: BTreeMap<String, Vec<Target>>,
}

impl Routes {
    /// Reads the routes of all templates; `unclear` receives types that are not modelled.
    pub fn of(plan: &Plan, unclear: &mut Vec<LintFinding>) -> Self {
        let mut routes = Self::default();
        for stack in &plan.stacks {
            for parameter in &stack.parameters {
                if let Source::Subnets { tier, .. } = parameter.source {
                    routes.existing(tier);
                }
            }
            for (name, resource) in stack.template["Resources"].as_object().into_iter().flatten() {
                let Some(ec2_type) = resource["Type"]
                    .as_str()
                    .and_then(|resource_type| resource_type.strip_prefix("AWS::EC2::"))
                else {
                    continue;
                };
                if !MODELLED.contains(&ec2_type) {
                    let problem = LintProblem::UnmodelledType(format!("AWS::EC2::{ec2_type}"));
                    unclear.push(LintFinding::new(&stack.short_name, name, problem));
                }
                routes.read(plan, stack, name, ec2_type, &resource["Properties"]);
            }
        }
        routes
    }

    /// Adds the existing subnets of a tier, whose addresses and routes are not in the templates. Any address can be theirs. Public ones
    /// have a route to the internet, which preflight requires, and private ones may have it through a NAT gateway; what else the owner
    /// of the VPC routes there is outside the platform.
    fn existing(&mut self, tier: SubnetTier) {
        let name = tier.parameter().to_owned();
        let targets = match tier {
            SubnetTier::Public => vec![Target::InternetGateway],
            SubnetTier::Private => vec![Target::Nat],
            SubnetTier::Isolated => Vec::new(),
        };
        self.tables.insert(name.clone(), targets);
        self.subnets.insert(name.clone(), (network("0.0.0.0/0"), Some(name)));
    }

    fn read(&mut self, plan: &Plan, stack: &Stack, name: &str, ec2_type: &str, properties: &Value) {
        let cidr = || properties["CidrBlock"].as_str().and_then(network);
        let one = |property: &str| resources(plan, stack, &properties[property]).and_then(|mut found| found.pop());
        let all = |property: &str| resources(plan, stack, &properties[property]).unwrap_or_default();
        match ec2_type {
            "VPC" => self.vpc = cidr(),
            "Subnet" => self.subnets.entry(name.to_owned()).or_default().0 = cidr(),
            "SubnetRouteTableAssociation" => {
                if let Some(subnet) = one("SubnetId") {
                    self.subnets.entry(subnet).or_default().1 = one("RouteTableId");
                }
            }
            "Route" => {
                let target = match properties {
                    properties if !properties["NatGatewayId"].is_null() => Target::Nat,
                    properties if !properties["GatewayId"].is_null() => Target::InternetGateway,
                    _ => Target::Other,
                };
                if let Some(table) = one("RouteTableId") {
                    self.tables.entry(table).or_default().push(target);
                }
            }
            "VPCEndpoint" => {
                for table in all("RouteTableIds") {
                    self.tables.entry(table).or_default().push(Target::Other);
                }
            }
            _ => {}
        }
    }

    /// Returns the networks of subnets.
    pub fn networks(&self, subnets: &[String]) -> Vec<IpNet> {
        let found = subnets.iter().filter_map(|subnet| self.subnets.get(subnet));
        found.filter_map(|(network, _)| *network).collect()
    }

    /// Returns true if a subnet has a route to the internet gateway.
    pub fn through_gateway(&self, subnets: &[String]) -> bool {
        self.has_route(subnets, Target::InternetGateway)
    }

    /// Returns true if a subnet has a route to a NAT gateway.
    pub fn through_nat(&self, subnets: &[String]) -> bool {
        self.has_route(subnets, Target::Nat)
    }

    fn has_route(&self, subnets: &[String], target: Target) -> bool {
        subnets.iter().any(|subnet| self.targets(subnet).contains(&target))
    }

    fn targets(&self, subnet: &str) -> &[Target] {
        let table = self.subnets.get(subnet).and_then(|(_, table)| table.as_ref());
        table
            .and_then(|table| self.tables.get(table))
            .map_or(&[], Vec::as_slice)
    }

    /// Returns a finding for each component with data in a subnet with a route out of the VPC.
    pub fn isolation(&self, components: &[Component]) -> Vec<LintFinding> {
        let stores = components
            .iter()
            .filter(|component| component.kind == ComponentKind::Store);
        let open = stores.filter(|store| store.subnets.iter().any(|subnet| !self.targets(subnet).is_empty()));
        open.map(|store| LintFinding::new(&store.stack, &store.logical_id, LintProblem::NotIsolated))
            .collect()
    }
}
