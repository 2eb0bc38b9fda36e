//! Security group rules of the manifest's links, on both sides.

use serde_json::{Map, Value};

use super::finding::{LintFinding, LintProblem};
use crate::manifest::Manifest;
use crate::stacks::{self, Plan};

/// Returns a finding for each link whose ingress or egress rule is not in the templates.
pub fn check(manifest: &Manifest, plan: &Plan) -> Vec<LintFinding> {
    let mut findings = Vec::new();
    let Some(network) = plan.stack("network") else {
        return findings;
    };
    let empty = Map::new();
    let resources = network.template["Resources"].as_object().unwrap_or(&empty);
    for path in stacks::paths(manifest) {
        let (from, to) = (path.from.logical_id(), path.to.logical_id());
        let mut report = |location: &str, problem: LintProblem| {
            findings.push(LintFinding::new(&network.short_name, location, problem));
        };
        let (link, port) = (path.reason, path.port);
        if !allows(resources, &to, &from, port, Direction::Ingress) {
            let (link, peer) = (link.clone(), from.clone());
            report(&to, LintProblem::MissingIngress { link, peer, port });
        }
        if !allows(resources, &from, &to, port, Direction::Egress) {
            let peer = to.clone();
            report(&from, LintProblem::MissingEgress { link, peer, port });
        }
    }
    findings
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Ingress,
    Egress,
}

fn allows(resources: &Map<String, Value>, group: &str, peer: &str, port: u16, direction: Direction) -> bool {
    let (resource_type, inline, peer_key) = match direction {
        Direction::Ingress => (
            "AWS::EC2::SecurityGroupIngress",
            "SecurityGroupIngress",
            "SourceSecurityGroupId",
        ),
        Direction::Egress => (
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
    let separate = resources
        .values()
        .filter(|found| found["Type"] == resource_type)
        .map(|found| &found["Properties"]);
    let separate = separate.filter(|rule| names(&rule["GroupId"], group));
    inside
        .chain(separate)
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

/// Returns true if an expression is the ID of this security group.
fn names(value: &Value, group: &str) -> bool {
    value["Ref"] == group || value["Fn::GetAtt"][0] == group || value["Fn::GetAtt"] == format!("{group}.GroupId")
}
