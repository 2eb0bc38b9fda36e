//! The security-group check of a connection between members of two groups.

use std::fmt;

use super::model::{self, SECURITY_GROUPS, VPCS};
use super::{cidr, rule, security_group};
use crate::records::Record;
use crate::{AwsError, Context};

/// The reason why security groups do not allow a connection.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectionDenied {
    #[error("no egress rule of {from} permits TCP {port} to {to}")]
    NoEgressRule { from: Groups, to: Groups, port: u16 },
    #[error("no ingress rule of {to} permits TCP {port} from {from}")]
    NoIngressRule { from: Groups, to: Groups, port: u16 },
    /// Only one side names security groups.
    #[error("one side names no security group, so it is in the VPC's default group")]
    DefaultGroup,
    #[error("{}", .0.message)]
    Lookup(#[from] AwsError),
}

/// Security groups by name and ID, as messages show them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups(pub Vec<String>);

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("nothing (no security group)"),
            names => f.write_str(&names.join(", ")),
        }
    }
}

/// Checks that security groups allow TCP from members of `from` to members of `to` on `port`: both an egress rule and an
/// ingress rule must permit it, by group or by a block that covers the VPC.
///
/// # Errors
/// The rule that is missing, egress first, or a failed look-up.
pub fn check(cx: &Context, from: &[String], to: &[String], port: u16) -> Result<(), ConnectionDenied> {
    let names = |ids: &[String]| Groups(ids.iter().map(|id| security_group::display_name(cx, id)).collect());
    if !permits(cx, from, to, port, true)? {
        let (from, to) = (names(from), names(to));
        return Err(ConnectionDenied::NoEgressRule { from, to, port });
    }
    if !permits(cx, to, from, port, false)? {
        let (from, to) = (names(from), names(to));
        return Err(ConnectionDenied::NoIngressRule { from, to, port });
    }
    Ok(())
}

/// Returns true if a rule of `groups` in one direction permits TCP on `port` with `peers`.
fn permits(cx: &Context, groups: &[String], peers: &[String], port: u16, egress: bool) -> Result<bool, AwsError> {
    for group in groups {
        for rule in rule::of_group(cx, group)? {
            if rule::is_egress(&rule) == egress && rule::covers_tcp(&rule, port) && matches_peer(cx, &rule, peers) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn matches_peer(cx: &Context, rule: &Record, peers: &[String]) -> bool {
    if let Some(group) = rule::peer_group(rule) {
        return peers.contains(&group);
    }
    let Some(block) = rule.text("CidrIp").and_then(|block| cidr::parse(&block).ok()) else {
        return false;
    };
    let vpc_block = |id: &String| {
        let vpc = SECURITY_GROUPS.get(cx, id).ok()??.text("VpcId")?;
        model::block(&VPCS.get(cx, &vpc).ok()??).ok()
    };
    // Tasks have addresses of this machine, not of their subnets, so a block matches only if it covers the whole VPC.
    match peers.iter().find_map(vpc_block) {
        Some(vpc) => block.contains(&vpc),
        None => block.prefix_len() == 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::service::testing::{context_with, create, error_code};

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
        let check = |port| check(&cx, std::slice::from_ref(&from), std::slice::from_ref(&to), port);
        let named = |name: &str, id: &str| Groups(vec![format!("{name} ({id})")]);

        let ConnectionDenied::NoEgressRule {
            from: sender,
            to: receiver,
            port: 9001,
        } = check(9001).unwrap_err()
        else {
            panic!("there is no egress rule yet");
        };
        assert_eq!((sender, receiver), (named("patient", &from), named("billing", &to)));
        let out = json!({
            "GroupId": from, "IpProtocol": "tcp", "FromPort": 9001, "ToPort": "9001", "DestinationSecurityGroupId": to,
        });
        create(&cx, "AWS::EC2::SecurityGroupEgress", "Out", out.clone())
            .await
            .unwrap();
        assert!(matches!(check(9001), Err(ConnectionDenied::NoIngressRule { .. })));
        let into = json!({
            "GroupId": to, "IpProtocol": "tcp", "FromPort": 9001, "ToPort": 9001, "CidrIp": "10.0.0.0/8",
        });
        create(&cx, "AWS::EC2::SecurityGroupIngress", "In", into).await.unwrap();
        assert!(check(9001).is_ok());
        assert!(matches!(check(9002), Err(ConnectionDenied::NoEgressRule { .. })));

        let twice = create(&cx, "AWS::EC2::SecurityGroupEgress", "Out2", out).await;
        assert_eq!(error_code(&twice.unwrap_err()), Some("InvalidPermission.Duplicate"));
        let groups = cx.resource_type("AWS::EC2::SecurityGroup").unwrap();
        let in_use = groups.delete(&cx, &to, &json!({})).await.unwrap_err();
        assert_eq!(error_code(&in_use), Some("DependencyViolation"));
    }

    #[test]
    fn a_denied_connection_names_the_missing_rule() {
        let (from, to) = (Groups(vec!["patient (sg-1)".into()]), Groups(vec![]));
        let egress = ConnectionDenied::NoEgressRule {
            from: from.clone(),
            to: to.clone(),
            port: 9001,
        };
        let ingress = ConnectionDenied::NoIngressRule { from, to, port: 9001 };
        insta::assert_snapshot!(
            [egress, ingress, ConnectionDenied::DefaultGroup].map(|denied| denied.to_string()).join("\n"),
            @r"
        no egress rule of patient (sg-1) permits TCP 9001 to nothing (no security group)
        no ingress rule of nothing (no security group) permits TCP 9001 from patient (sg-1)
        one side names no security group, so it is in the VPC's default group
        "
        );
    }
}
