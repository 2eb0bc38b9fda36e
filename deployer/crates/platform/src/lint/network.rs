//! Every link of the manifest has its path through the security groups, on both sides.

use serde_json::{Map, Value};

use super::Finding;
use crate::manifest::Manifest;
use crate::stacks::{self, Plan};

/// Looks for the two rules of each link in the templates themselves, whoever wrote them.
pub fn check(manifest: &Manifest, plan: &Plan) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(network) = plan.stacks.iter().find(|stack| stack.short == "network") else {
        return findings;
    };
    let empty = Map::new();
    let resources = network.template["Resources"].as_object().unwrap_or(&empty);
    for path in stacks::paths(manifest) {
        let (from, to) = (path.from.logical_id(), path.to.logical_id());
        let mut note = |place: &str, what: String| {
            let (stack, place) = (network.short.clone(), place.to_owned());
            findings.push(Finding { stack, place, what });
        };
        if !allows(resources, &to, &from, path.port, Side::Ingress) {
            note(
                &to,
                format!(
                    "{}, but the group takes nothing from {from} on tcp {}",
                    path.reason, path.port
                ),
            );
        }
        if !allows(resources, &from, &to, path.port, Side::Egress) {
            note(
                &from,
                format!(
                    "{}, but the group lets nothing out to {to} on tcp {}",
                    path.reason, path.port
                ),
            );
        }
    }
    findings
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Ingress,
    Egress,
}

fn allows(resources: &Map<String, Value>, group: &str, peer: &str, port: u16, side: Side) -> bool {
    let (kind, inline, peer_key) = match side {
        Side::Ingress => (
            "AWS::EC2::SecurityGroupIngress",
            "SecurityGroupIngress",
            "SourceSecurityGroupId",
        ),
        Side::Egress => (
            "AWS::EC2::SecurityGroupEgress",
            "SecurityGroupEgress",
            "DestinationSecurityGroupId",
        ),
    };
    let inside = resources
        .get(group)
        .and_then(|found| found["Properties"][inline].as_array())
        .into_iter()
        .flatten();
    let alone = resources
        .values()
        .filter(|found| found["Type"] == kind)
        .map(|found| &found["Properties"]);
    let alone = alone.filter(|rule| names(&rule["GroupId"], group));
    inside
        .chain(alone)
        .any(|rule| covers(rule, port) && names(&rule[peer_key], peer))
}

fn covers(rule: &Value, port: u16) -> bool {
    let bound = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    match rule["IpProtocol"].as_str() {
        Some("-1") => true,
        Some("tcp" | "6") => {
            let from = bound(&rule["FromPort"]);
            from.is_some_and(|from| (from..=bound(&rule["ToPort"]).unwrap_or(from)).contains(&u64::from(port)))
        }
        _ => false,
    }
}

/// Whether an expression is the id of this security group.
fn names(value: &Value, group: &str) -> bool {
    value["Ref"] == group || value["Fn::GetAtt"][0] == group || value["Fn::GetAtt"] == format!("{group}.GroupId")
}
