//! Whether one group's members may open a connection to another's.

use super::cidr::Cidr;
use super::security_group::{self, GROUPS};
use super::{rule, vpc};
use crate::Context;
use crate::records::Record;

/// Ok when an egress rule of `from_groups` and an ingress rule of `to_groups` permit TCP on `port`, by group or by a
/// block that covers the VPC. The error names the rule that is missing, in words.
pub fn allows(cx: &Context, from_groups: &[String], to_groups: &[String], port: u16) -> Result<(), String> {
    side(cx, from_groups, to_groups, port, true)?;
    side(cx, to_groups, from_groups, port, false)
}

fn side(cx: &Context, own: &[String], peers: &[String], port: u16, egress: bool) -> Result<(), String> {
    for group in own {
        for rule in rule::of(cx, group).map_err(|error| error.message)? {
            if rule::is_egress(&rule) == egress && rule::covers(&rule, port) && fits(cx, &rule, peers) {
                return Ok(());
            }
        }
    }
    let list = |ids: &[String]| match ids {
        [] => "nothing (no security group)".to_owned(),
        ids => ids
            .iter()
            .map(|id| security_group::called(cx, id))
            .collect::<Vec<_>>()
            .join(", "),
    };
    Err(match egress {
        true => format!("no egress rule of {} permits TCP {port} to {}", list(own), list(peers)),
        false => format!(
            "no ingress rule of {} permits TCP {port} from {}",
            list(own),
            list(peers)
        ),
    })
}

fn fits(cx: &Context, rule: &Record, peers: &[String]) -> bool {
    if let Some(group) = rule::peer_group(rule) {
        return peers.contains(&group);
    }
    let Some(block) = rule.text("CidrIp").and_then(|block| block.parse::<Cidr>().ok()) else {
        return false;
    };
    let network = |id: &String| {
        let vpc = GROUPS.get(cx, id).ok()??.text("VpcId")?;
        vpc::block(&vpc::VPCS.get(cx, &vpc).ok()??).ok()
    };
    // Peers have addresses of this machine, not of their subnets: a block counts when it covers the whole VPC.
    match peers.iter().find_map(network) {
        Some(vpc) => block.contains(vpc),
        None => block.prefix == 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::service::testing::{context_with, create};

    #[tokio::test]
    async fn a_connection_needs_a_rule_on_both_sides() {
        let (cx, _folder) = context_with(vec![crate::service::ec2::service()]);
        let vpc = create(&cx, "AWS::EC2::VPC", "V", json!({"CidrBlock": "10.0.0.0/16"}))
            .await
            .unwrap()
            .physical_id;
        let group = async |name: &str, egress: serde_json::Value| {
            let properties = json!({
                "GroupDescription": name, "GroupName": name, "VpcId": vpc, "SecurityGroupEgress": egress,
            });
            create(&cx, "AWS::EC2::SecurityGroup", name, properties)
                .await
                .unwrap()
                .physical_id
        };
        let closed = json!([{"IpProtocol": "-1", "CidrIp": "127.0.0.1/32"}]);
        let (from, to) = (group("patient", closed.clone()).await, group("billing", closed).await);
        let reach = |port| allows(&cx, std::slice::from_ref(&from), std::slice::from_ref(&to), port);

        let missing = reach(9001).unwrap_err();
        assert_eq!(
            missing,
            format!("no egress rule of patient ({from}) permits TCP 9001 to billing ({to})")
        );
        let out = json!({
            "GroupId": from, "IpProtocol": "tcp", "FromPort": 9001, "ToPort": "9001", "DestinationSecurityGroupId": to,
        });
        create(&cx, "AWS::EC2::SecurityGroupEgress", "Out", out.clone())
            .await
            .unwrap();
        assert!(reach(9001).unwrap_err().starts_with("no ingress rule of billing"));
        let into = json!({
            "GroupId": to, "IpProtocol": "tcp", "FromPort": 9001, "ToPort": 9001, "CidrIp": "10.0.0.0/8",
        });
        create(&cx, "AWS::EC2::SecurityGroupIngress", "In", into).await.unwrap();
        assert_eq!(reach(9001), Ok(()));
        assert!(reach(9002).is_err());

        let twice = create(&cx, "AWS::EC2::SecurityGroupEgress", "Out2", out)
            .await
            .unwrap_err();
        assert!(
            twice.0.contains("already exists (InvalidPermission.Duplicate)"),
            "{twice}"
        );
        let refused = cx
            .resource_type("AWS::EC2::SecurityGroup")
            .unwrap()
            .delete(&cx, &to, &json!({}))
            .await;
        assert!(refused.unwrap_err().0.contains("DependencyViolation"));
    }
}
