//! Security groups: inline rules, and rules that are resources.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use serde_json::Value;

use super::expression::{number, resources};
use super::network;
use crate::lint::finding::{LintFinding, LintProblem};
use crate::stacks::{Plan, Stack};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Ingress,
    Egress,
}

/// The peer of a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Peer {
    /// The logical ID of a security group.
    Group(String),
    Network(IpNet),
}

#[derive(Debug)]
struct Rule {
    direction: Direction,
    /// `None` for every protocol.
    protocol: Option<String>,
    ports: (u16, u16),
    peer: Peer,
}

/// The rules of each group, by its logical ID.
#[derive(Debug, Default)]
pub struct Groups(BTreeMap<String, Vec<Rule>>);

/// Type of a separate rule, property of inline rules, and property of the peer.
const DIRECTIONS: [(Direction, &str, &str, &str); 2] = [
    (
        Direction::Ingress,
        "AWS::EC2::SecurityGroupIngress",
        "SecurityGroupIngress",
        "SourceSecurityGroupId",
    ),
    (
        Direction::Egress,
        "AWS::EC2::SecurityGroupEgress",
        "SecurityGroupEgress",
        "DestinationSecurityGroupId",
    ),
];

impl Groups {
    /// Reads the rules of all templates; `unclear` receives those that cannot be evaluated.
    pub fn of(plan: &Plan, unclear: &mut Vec<LintFinding>) -> Self {
        let mut groups = Self::default();
        for stack in &plan.stacks {
            for (name, resource) in stack.template["Resources"].as_object().into_iter().flatten() {
                let (resource_type, properties) = (&resource["Type"], &resource["Properties"]);
                if resource_type == "AWS::EC2::SecurityGroup" {
                    groups.inline(plan, stack, name, properties, unclear);
                }
                for (direction, separate, _, peer) in DIRECTIONS {
                    if resource_type == separate {
                        let owner = resources(plan, stack, &properties["GroupId"]).unwrap_or_default();
                        let rule = rule(plan, stack, properties, direction, peer);
                        match (owner.as_slice(), rule) {
                            ([owner], Some(rule)) => groups.0.entry(owner.clone()).or_default().push(rule),
                            _ => unclear.push(unclear_rule(stack, name)),
                        }
                    }
                }
            }
        }
        groups
    }

    fn inline(&mut self, plan: &Plan, stack: &Stack, name: &str, properties: &Value, unclear: &mut Vec<LintFinding>) {
        let own = self.0.entry(name.to_owned()).or_default();
        for (direction, _, list, peer) in DIRECTIONS {
            // Without an egress rule a group allows all outbound traffic.
            if direction == Direction::Egress && properties[list].is_null() {
                own.extend(["0.0.0.0/0", "::/0"].iter().filter_map(|all| {
                    Some(Rule {
                        direction,
                        protocol: None,
                        ports: (0, u16::MAX),
                        peer: Peer::Network(network(all)?),
                    })
                }));
            }
            for written in properties[list].as_array().into_iter().flatten() {
                match rule(plan, stack, written, direction, peer) {
                    Some(rule) => own.push(rule),
                    None => unclear.push(unclear_rule(stack, name)),
                }
            }
        }
    }

    /// Returns true if one of these groups has a matching rule whose peer fits.
    pub fn allow(
        &self,
        groups: &[String],
        direction: Direction,
        protocol: &str,
        port: u16,
        fits: impl Fn(&Peer) -> bool,
    ) -> bool {
        let rules = groups.iter().filter_map(|group| self.0.get(group)).flatten();
        rules.filter(|rule| rule.direction == direction).any(|rule| {
            let protocol = rule.protocol.as_ref().is_none_or(|own| own == protocol);
            protocol && (rule.ports.0..=rule.ports.1).contains(&port) && fits(&rule.peer)
        })
    }

    /// Returns the ports at which a rule starts or ends.
    pub fn bounds(&self) -> BTreeSet<u16> {
        let rules = self.0.values().flatten();
        rules.flat_map(|rule| [rule.ports.0, rule.ports.1]).collect()
    }
}

fn unclear_rule(stack: &Stack, name: &str) -> LintFinding {
    LintFinding::new(&stack.short_name, name, LintProblem::UnclearRule)
}

fn rule(plan: &Plan, stack: &Stack, written: &Value, direction: Direction, peer_key: &str) -> Option<Rule> {
    let (protocol, ports) = match written["IpProtocol"].as_str()? {
        "-1" => (None, (0, u16::MAX)),
        // ICMP has types and codes in place of ports, and no connections.
        icmp @ ("icmp" | "icmpv6" | "1" | "58") => (Some(icmp.to_owned()), (0, 0)),
        other => {
            let name = match other {
                "6" => "tcp",
                "17" => "udp",
                name => name,
            };
            let ports = (number(&written["FromPort"])?, number(&written["ToPort"])?);
            (Some(name.to_owned()), ports)
        }
    };
    let cidr = written["CidrIp"].as_str().or(written["CidrIpv6"].as_str());
    let peer = match cidr {
        Some(cidr) => Peer::Network(network(cidr)?),
        None => Peer::Group(resources(plan, stack, &written[peer_key])?.pop()?),
    };
    Some(Rule {
        direction,
        protocol,
        ports,
        peer,
    })
}
