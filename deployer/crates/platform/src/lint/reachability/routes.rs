//! Subnets and the ways out of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::cidr::Network;
use super::components::{Component, Kind};
use super::expression::resources;
use super::finding;
use crate::lint::Finding;
use crate::stacks::{Plan, Stack};

/// What of EC2 is modelled; whatever else a template had could open a way that is not seen here.
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

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    InternetGateway,
    Nat,
    Other,
}

#[derive(Debug, Default)]
pub struct Routes {
    pub vpc: Option<Network>,
    /// Each subnet's network and route table.
    subnets: BTreeMap<String, (Option<Network>, Option<String>)>,
    /// Each table's routes beyond the VPC's own.
    tables: BTreeMap<String, Vec<Target>>,
}

impl Routes {
    pub fn of(plan: &Plan, unknown: &mut Vec<Finding>) -> Self {
        let mut routes = Self::default();
        for stack in &plan.stacks {
            for (name, resource) in stack.template["Resources"].as_object().into_iter().flatten() {
                let Some(kind) = resource["Type"]
                    .as_str()
                    .and_then(|kind| kind.strip_prefix("AWS::EC2::"))
                else {
                    continue;
                };
                if !MODELLED.contains(&kind) {
                    let what = format!("AWS::EC2::{kind} is nothing that reachability is computed over");
                    unknown.push(finding(&stack.short, name, what));
                }
                routes.read(plan, stack, name, kind, &resource["Properties"]);
            }
        }
        routes
    }

    fn read(&mut self, plan: &Plan, stack: &Stack, name: &str, kind: &str, properties: &Value) {
        let network = || properties["CidrBlock"].as_str().and_then(Network::parse);
        let one = |property: &str| resources(plan, stack, &properties[property]).and_then(|mut found| found.pop());
        let all = |property: &str| resources(plan, stack, &properties[property]).unwrap_or_default();
        match kind {
            "VPC" => self.vpc = network(),
            "Subnet" => self.subnets.entry(name.to_owned()).or_default().0 = network(),
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

    pub fn networks(&self, subnets: &[String]) -> Vec<Network> {
        let found = subnets.iter().filter_map(|subnet| self.subnets.get(subnet));
        found.filter_map(|(network, _)| *network).collect()
    }

    pub fn through_gateway(&self, subnets: &[String]) -> bool {
        self.leads(subnets, Target::InternetGateway)
    }

    pub fn through_nat(&self, subnets: &[String]) -> bool {
        self.leads(subnets, Target::Nat)
    }

    fn leads(&self, subnets: &[String], target: Target) -> bool {
        subnets.iter().any(|subnet| self.out_of(subnet).contains(&target))
    }

    fn out_of(&self, subnet: &str) -> &[Target] {
        let table = self.subnets.get(subnet).and_then(|(_, table)| table.as_ref());
        table
            .and_then(|table| self.tables.get(table))
            .map_or(&[], Vec::as_slice)
    }

    /// What stores stands in subnets without any way out.
    pub fn isolation(&self, components: &[Component]) -> Vec<Finding> {
        let stores = components.iter().filter(|component| component.kind == Kind::Store);
        let open = stores.filter(|store| store.subnets.iter().any(|subnet| !self.out_of(subnet).is_empty()));
        open.map(|store| {
            let what = "it stores data, and its subnets have a route out of the VPC";
            finding(&store.stack, &store.place, what)
        })
        .collect()
    }
}
