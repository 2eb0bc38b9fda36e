//! Rules of our security groups that no template has.

use std::collections::HashMap;

use aws_sdk_ec2::types::{Filter, SecurityGroupRule};
use serde_json::Value;

use super::{Owned, Undeclared};
use crate::error::Result;
use crate::target::Aws;

const GROUP: &str = "AWS::EC2::SecurityGroup";
/// How many values a filter takes ("Security group rules", DescribeSecurityGroupRules).
const PAGE: usize = 200;

pub async fn find(aws: &Aws, owned: &Owned) -> Result<Vec<Undeclared>> {
    let mut found = Vec::new();
    let inline = inline(owned);
    for groups in owned.all(GROUP).chunks(PAGE) {
        let filter = Filter::builder()
            .name("group-id")
            .set_values(Some(groups.to_vec()))
            .build();
        let mut rules = aws
            .ec2
            .describe_security_group_rules()
            .filters(filter)
            .into_paginator()
            .items()
            .send();
        while let Some(rule) = rules.next().await {
            let rule = Rule::from(rule?);
            // An endpoint that does not know the filter answers with every group's rules.
            let ours = groups.contains(&rule.group);
            let declared = owned.has(&rule.id)
                || inline
                    .get(&rule.group)
                    .is_some_and(|all| all.iter().any(|i| i.is(&rule)));
            if ours && !declared {
                found.push(Undeclared {
                    kind: if rule.egress {
                        "AWS::EC2::SecurityGroupEgress"
                    } else {
                        "AWS::EC2::SecurityGroupIngress"
                    },
                    what: rule.words(),
                    id: rule.id,
                });
            }
        }
    }
    Ok(found)
}

/// A rule as it is.
#[derive(Debug, Clone)]
struct Rule {
    id: String,
    group: String,
    egress: bool,
    protocol: String,
    ports: (i64, i64),
    /// An address range, a group, or a prefix list.
    peer: String,
}

impl From<SecurityGroupRule> for Rule {
    fn from(rule: SecurityGroupRule) -> Self {
        let peer = rule
            .cidr_ipv4()
            .or(rule.cidr_ipv6())
            .or(rule.referenced_group_info().and_then(|group| group.group_id()))
            .or(rule.prefix_list_id());
        Self {
            peer: peer.unwrap_or_default().to_owned(),
            id: rule.security_group_rule_id().unwrap_or_default().to_owned(),
            group: rule.group_id().unwrap_or_default().to_owned(),
            egress: rule.is_egress().unwrap_or_default(),
            protocol: rule.ip_protocol().unwrap_or_default().to_owned(),
            ports: (
                rule.from_port().unwrap_or(-1).into(),
                rule.to_port().unwrap_or(-1).into(),
            ),
        }
    }
}

impl Rule {
    fn words(&self) -> String {
        let direction = if self.egress { "out to" } else { "in from" };
        let ports = match self.ports {
            _ if self.protocol == "-1" => "everything".to_owned(),
            (from, to) if from == to => format!("{} {from}", self.protocol),
            (from, to) => format!("{} {from}-{to}", self.protocol),
        };
        format!("{} lets {ports} {direction} {}", self.group, self.peer)
    }
}

/// A rule inside a group's own declaration; what an intrinsic makes is not compared.
#[derive(Debug, Clone)]
struct Inline {
    egress: bool,
    protocol: Option<String>,
    ports: Option<(i64, i64)>,
    peer: Option<String>,
}

impl Inline {
    fn of(rule: &Value, egress: bool) -> Self {
        let text = |name: &str| rule[name].as_str().map(str::to_owned);
        let number = |name: &str| rule[name].as_i64().or_else(|| rule[name].as_str()?.parse().ok());
        let protocol = text("IpProtocol").or_else(|| rule["IpProtocol"].as_i64().map(|number| number.to_string()));
        Self {
            egress,
            ports: number("FromPort").zip(number("ToPort")),
            protocol,
            peer: text("CidrIp").or_else(|| text("CidrIpv6")),
        }
    }

    /// What AWS gives a group that declares no egress: everything to everywhere.
    fn usual() -> Self {
        Self {
            egress: true,
            protocol: Some("-1".into()),
            ports: None,
            peer: Some("0.0.0.0/0".into()),
        }
    }

    fn is(&self, rule: &Rule) -> bool {
        self.egress == rule.egress
            && self.protocol.as_ref().is_none_or(|protocol| *protocol == rule.protocol)
            && (rule.protocol == "-1" || self.ports.is_none_or(|ports| ports == rule.ports))
            && self.peer.as_ref().is_none_or(|peer| *peer == rule.peer)
    }
}

/// The rules within the declarations of our groups, by the group's id.
fn inline(owned: &Owned) -> HashMap<String, Vec<Inline>> {
    let groups = owned.declared(GROUP).filter_map(|(properties, id)| {
        let list = |name: &str, egress| {
            let rules = properties[name].as_array().into_iter().flatten();
            rules.map(move |rule| Inline::of(rule, egress)).collect::<Vec<_>>()
        };
        let mut rules = list("SecurityGroupIngress", false);
        let out = list("SecurityGroupEgress", true);
        rules.extend(if out.is_empty() { vec![Inline::usual()] } else { out });
        Some((id?.to_owned(), rules))
    });
    groups.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(egress: bool, protocol: &str, ports: (i64, i64), peer: &str) -> Rule {
        Rule {
            id: "sgr-1".into(),
            group: "sg-1".into(),
            egress,
            protocol: protocol.into(),
            ports,
            peer: peer.into(),
        }
    }

    #[test]
    fn a_rule_of_the_declaration_is_told_from_one_made_by_hand() {
        let template = json!({"Resources": {"Group": {"Type": GROUP, "Properties": {
            "SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "CidrIp": "0.0.0.0/0"}],
            "SecurityGroupEgress": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": {"Ref": "Range"}}],
        }}}});
        let mut owned = Owned::default();
        owned
            .stacks
            .push((template, HashMap::from([("Group".to_owned(), "sg-1".to_owned())])));
        let declared = inline(&owned);
        let is_declared = |rule: Rule| declared["sg-1"].iter().any(|inline| inline.is(&rule));
        assert!(is_declared(rule(false, "tcp", (8080, 8080), "0.0.0.0/0")));
        assert!(is_declared(rule(true, "tcp", (443, 443), "10.0.0.0/16")));
        let by_hand = rule(false, "tcp", (22, 22), "0.0.0.0/0");
        assert_eq!(by_hand.words(), "sg-1 lets tcp 22 in from 0.0.0.0/0");
        assert!(!is_declared(by_hand));
        assert!(!is_declared(rule(true, "-1", (-1, -1), "0.0.0.0/0")));
    }

    #[test]
    fn a_group_without_egress_has_the_usual_one() {
        let template = json!({"Resources": {"Group": {"Type": GROUP, "Properties": {}}}});
        let mut owned = Owned::default();
        owned
            .stacks
            .push((template, HashMap::from([("Group".to_owned(), "sg-1".to_owned())])));
        assert!(inline(&owned)["sg-1"][0].is(&rule(true, "-1", (-1, -1), "0.0.0.0/0")));
    }
}
