//! Security groups: their rules, inline and alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::cidr::Network;
use super::expression::{number, resources};
use super::finding;
use crate::lint::Finding;
use crate::stacks::{Plan, Stack};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Ingress,
    Egress,
}

/// Whom a rule speaks of.
#[derive(Debug, Clone, PartialEq)]
pub enum Peer {
    /// The logical id of a security group.
    Group(String),
    Network(Network),
}

#[derive(Debug)]
struct Rule {
    side: Side,
    /// `None` is every protocol.
    protocol: Option<String>,
    ports: (u16, u16),
    peer: Peer,
}

/// The rules of each group, by its logical id.
#[derive(Debug, Default)]
pub struct Groups(BTreeMap<String, Vec<Rule>>);

const SIDES: [(Side, &str, &str, &str); 2] = [
    (
        Side::Ingress,
        "AWS::EC2::SecurityGroupIngress",
        "SecurityGroupIngress",
        "SourceSecurityGroupId",
    ),
    (
        Side::Egress,
        "AWS::EC2::SecurityGroupEgress",
        "SecurityGroupEgress",
        "DestinationSecurityGroupId",
    ),
];

impl Groups {
    pub fn of(plan: &Plan, unknown: &mut Vec<Finding>) -> Self {
        let mut groups = Self::default();
        for stack in &plan.stacks {
            for (name, resource) in stack.template["Resources"].as_object().into_iter().flatten() {
                let (kind, properties) = (&resource["Type"], &resource["Properties"]);
                if kind == "AWS::EC2::SecurityGroup" {
                    groups.inline(plan, stack, name, properties, unknown);
                }
                for (side, alone, _, peer) in SIDES {
                    if kind == alone {
                        let owner = resources(plan, stack, &properties["GroupId"]).unwrap_or_default();
                        let rule = rule(plan, stack, properties, side, peer);
                        match (owner.as_slice(), rule) {
                            ([owner], Some(rule)) => groups.0.entry(owner.clone()).or_default().push(rule),
                            _ => unknown.push(finding(&stack.short, name, UNCLEAR)),
                        }
                    }
                }
            }
        }
        groups
    }

    fn inline(&mut self, plan: &Plan, stack: &Stack, name: &str, properties: &Value, unknown: &mut Vec<Finding>) {
        let own = self.0.entry(name.to_owned()).or_default();
        for (side, _, list, peer) in SIDES {
            // without an egress rule of its own a group lets everything out
            if side == Side::Egress && properties[list].is_null() {
                own.extend(["0.0.0.0/0", "::/0"].iter().filter_map(|all| {
                    Some(Rule {
                        side,
                        protocol: None,
                        ports: (0, u16::MAX),
                        peer: Peer::Network(Network::parse(all)?),
                    })
                }));
            }
            for written in properties[list].as_array().into_iter().flatten() {
                match rule(plan, stack, written, side, peer) {
                    Some(rule) => own.push(rule),
                    None => unknown.push(finding(&stack.short, name, UNCLEAR)),
                }
            }
        }
    }

    /// Whether any of these groups has a rule for it whose peer fits.
    pub fn allow(
        &self,
        groups: &[String],
        side: Side,
        protocol: &str,
        port: u16,
        fits: impl Fn(&Peer) -> bool,
    ) -> bool {
        let rules = groups.iter().filter_map(|group| self.0.get(group)).flatten();
        rules.filter(|rule| rule.side == side).any(|rule| {
            let spoken = rule.protocol.as_ref().is_none_or(|own| own == protocol);
            spoken && (rule.ports.0..=rule.ports.1).contains(&port) && fits(&rule.peer)
        })
    }

    /// The ports at which any rule begins or ends.
    pub fn bounds(&self) -> BTreeSet<u16> {
        let rules = self.0.values().flatten();
        rules.flat_map(|rule| [rule.ports.0, rule.ports.1]).collect()
    }
}

const UNCLEAR: &str = "a rule whose peer or ports cannot be told from the templates";

fn rule(plan: &Plan, stack: &Stack, written: &Value, side: Side, peer_key: &str) -> Option<Rule> {
    let (protocol, ports) = match written["IpProtocol"].as_str()? {
        "-1" => (None, (0, u16::MAX)),
        // types and codes of ICMP are no ports, and carry no connection
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
    let network = written["CidrIp"].as_str().or(written["CidrIpv6"].as_str());
    let peer = match network {
        Some(network) => Peer::Network(Network::parse(network)?),
        None => Peer::Group(resources(plan, stack, &written[peer_key])?.pop()?),
    };
    Some(Rule {
        side,
        protocol,
        ports,
        peer,
    })
}
