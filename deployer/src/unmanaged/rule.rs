//! Rules of the environment's security groups that are in no template.

use std::collections::HashMap;

use aws::ec2::{SecurityGroupRule, security_group_rules};
use aws::{Result, Session};
use serde_json::Value;

use super::{Owned, UnmanagedResource};

const GROUP: &str = "AWS::EC2::SecurityGroup";

/// Returns the rules that no template declares.
pub async fn find(aws: &Session, owned: &Owned) -> Result<Vec<UnmanagedResource>> {
    let inline = inline(owned);
    let is_declared = |rule: &SecurityGroupRule| {
        let declared = inline.get(&rule.group);
        owned.has(&rule.id) || declared.is_some_and(|all| all.iter().any(|one| one.matches(rule)))
    };
    let rules = security_group_rules(aws, owned.all(GROUP)).await?.into_iter();
    let found = rules.filter(|rule| !is_declared(rule)).map(|rule| UnmanagedResource {
        resource_type: if rule.egress {
            "AWS::EC2::SecurityGroupEgress"
        } else {
            "AWS::EC2::SecurityGroupIngress"
        },
        description: description(&rule),
        id: rule.id,
    });
    Ok(found.collect())
}

fn description(rule: &SecurityGroupRule) -> String {
    let direction = if rule.egress { "to" } else { "from" };
    let ports = match rule.ports {
        _ if rule.protocol == "-1" => "all traffic".to_owned(),
        (from, to) if from == to => format!("{} {from}", rule.protocol),
        (from, to) => format!("{} {from}-{to}", rule.protocol),
    };
    format!("{} allows {ports} {direction} {}", rule.group, rule.peer)
}

/// A rule in the declaration of a group. Values of intrinsic functions are not compared.
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

    /// Returns the rule of a group that declares no egress: all traffic to every address.
    fn default_egress() -> Self {
        Self {
            egress: true,
            protocol: Some("-1".into()),
            ports: None,
            peer: Some("0.0.0.0/0".into()),
        }
    }

    fn matches(&self, rule: &SecurityGroupRule) -> bool {
        self.egress == rule.egress
            && self.protocol.as_ref().is_none_or(|protocol| *protocol == rule.protocol)
            && (rule.protocol == "-1" || self.ports.is_none_or(|ports| ports == rule.ports))
            && self.peer.as_ref().is_none_or(|peer| *peer == rule.peer)
    }
}

/// Returns the rules in the declarations of the groups, by the group's id.
fn inline(owned: &Owned) -> HashMap<String, Vec<Inline>> {
    let groups = owned.declared(GROUP).filter_map(|(properties, id)| {
        let list = |name: &str, egress| {
            let rules = properties[name].as_array().into_iter().flatten();
            rules.map(move |rule| Inline::of(rule, egress)).collect::<Vec<_>>()
        };
        let mut rules = list("SecurityGroupIngress", false);
        let egress = list("SecurityGroupEgress", true);
        rules.extend(if egress.is_empty() {
            vec![Inline::default_egress()]
        } else {
            egress
        });
        Some((id?.to_owned(), rules))
    });
    groups.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(egress: bool, protocol: &str, ports: (i64, i64), peer: &str) -> SecurityGroupRule {
        SecurityGroupRule {
            id: "sgr-1".into(),
            group: "sg-1".into(),
            egress,
            protocol: protocol.into(),
            ports,
            peer: peer.into(),
        }
    }

    #[test]
    fn a_declared_rule_is_distinguished_from_one_made_by_hand() {
        let template = json!({"Resources": {"Group": {"Type": GROUP, "Properties": {
            "SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "CidrIp": "0.0.0.0/0"}],
            "SecurityGroupEgress": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": {"Ref": "Range"}}],
        }}}});
        let mut owned = Owned::default();
        owned
            .stacks
            .push((template, HashMap::from([("Group".to_owned(), "sg-1".to_owned())])));
        let declared = inline(&owned);
        let is_declared = |rule: SecurityGroupRule| declared["sg-1"].iter().any(|inline| inline.matches(&rule));
        assert!(is_declared(rule(false, "tcp", (8080, 8080), "0.0.0.0/0")));
        assert!(is_declared(rule(true, "tcp", (443, 443), "10.0.0.0/16")));
        let by_hand = rule(false, "tcp", (22, 22), "0.0.0.0/0");
        assert_eq!(description(&by_hand), "sg-1 allows tcp 22 from 0.0.0.0/0");
        assert!(!is_declared(by_hand));
        assert!(!is_declared(rule(true, "-1", (-1, -1), "0.0.0.0/0")));
    }

    #[test]
    fn a_group_without_egress_has_the_default_rule() {
        let template = json!({"Resources": {"Group": {"Type": GROUP, "Properties": {}}}});
        let mut owned = Owned::default();
        owned
            .stacks
            .push((template, HashMap::from([("Group".to_owned(), "sg-1".to_owned())])));
        assert!(inline(&owned)["sg-1"][0].matches(&rule(true, "-1", (-1, -1), "0.0.0.0/0")));
    }
}
