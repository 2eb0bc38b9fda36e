//! Tests of the rules of security groups, which calls add, change and revoke.

use embedded_endpoint::Behavior;

use crate::endpoint::{Endpoint, element};

const EC2: (&str, &str) = ("ec2", "2016-11-15");

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a list of calls")]
async fn rules_of_a_security_group_are_added_changed_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 102, Behavior::default()).await;
    let vpc = endpoint
        .get(EC2, "CreateVpc", &[("CidrBlock", "10.0.0.0/16")], "vpcId")
        .await;
    let vpc = ("VpcId", vpc.as_str());
    let (name, text) = (("GroupName", "web"), ("GroupDescription", "d"));
    let group = endpoint
        .get(EC2, "CreateSecurityGroup", &[name, text, vpc], "groupId")
        .await;
    let group = ("GroupId", group.as_str());
    let permission = [
        group,
        ("IpPermissions.1.IpProtocol", "6"),
        ("IpPermissions.1.FromPort", "443"),
        ("IpPermissions.1.ToPort", "443"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8"),
    ];
    let mut tagged = permission.to_vec();
    tagged.extend([
        ("TagSpecification.1.ResourceType", "security-group-rule"),
        ("TagSpecification.1.Tag.1.Key", "k"),
        ("TagSpecification.1.Tag.1.Value", "v"),
    ]);
    let added = endpoint
        .action(EC2, "AuthorizeSecurityGroupIngress", &tagged)
        .await
        .unwrap();
    assert_eq!(added.matches("<securityGroupRuleId>").count(), 1, "{added}");
    let rule = element(&added, "securityGroupRuleId").unwrap();
    let peers = [
        group,
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.Groups.1.GroupId", group.1),
        ("IpPermissions.1.Ipv6Ranges.1.CidrIpv6", "::/0"),
    ];
    let both = endpoint
        .action(EC2, "AuthorizeSecurityGroupIngress", &peers)
        .await
        .unwrap();
    assert_eq!(both.matches("<securityGroupRuleId>").count(), 2, "{both}");
    let changed = [
        group,
        ("SecurityGroupRule.1.SecurityGroupRuleId", rule),
        ("SecurityGroupRule.1.SecurityGroupRule.IpProtocol", "tcp"),
        ("SecurityGroupRule.1.SecurityGroupRule.FromPort", "80"),
        ("SecurityGroupRule.1.SecurityGroupRule.ToPort", "80"),
        ("SecurityGroupRule.1.SecurityGroupRule.CidrIpv4", "10.0.0.0/8"),
    ];
    let described = [
        group,
        ("SecurityGroupRuleDescription.1.SecurityGroupRuleId", rule),
        ("SecurityGroupRuleDescription.1.Description", "changed"),
    ];
    let all = [
        group,
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    endpoint
        .expect(
            EC2,
            &[
                (
                    "CreateSecurityGroup",
                    &[name, text, vpc],
                    Some("InvalidGroup.Duplicate"),
                ),
                (
                    "AuthorizeSecurityGroupIngress",
                    &permission,
                    Some("InvalidPermission.Duplicate"),
                ),
                (
                    "AuthorizeSecurityGroupEgress",
                    &all,
                    Some("InvalidPermission.Duplicate"),
                ),
                ("ModifySecurityGroupRules", &changed, None),
                ("UpdateSecurityGroupRuleDescriptionsIngress", &described, None),
                (
                    "UpdateSecurityGroupRuleDescriptionsEgress",
                    &described,
                    Some("InvalidSecurityGroupRuleId.NotFound"),
                ),
                (
                    "RevokeSecurityGroupIngress",
                    &permission,
                    Some("InvalidPermission.NotFound"),
                ),
                ("RevokeSecurityGroupEgress", &all, None),
                (
                    "CreateTags",
                    &[("ResourceId.1", group.1), ("Tag.1.Key", "k"), ("Tag.1.Value", "v")],
                    None,
                ),
            ],
        )
        .await;
    let id = [("SecurityGroupRuleId.1", rule)];
    let shown = endpoint.action(EC2, "DescribeSecurityGroupRules", &id).await.unwrap();
    for (name, value) in [
        ("fromPort", "80"),
        ("description", "changed"),
        ("key", "k"),
        ("ipProtocol", "tcp"),
    ] {
        assert_eq!(element(&shown, name), Some(value), "{shown}");
    }
    let shown = endpoint
        .action(EC2, "DescribeSecurityGroups", &[("GroupId.1", group.1)])
        .await
        .unwrap();
    assert!(shown.contains("<ipPermissionsEgress></ipPermissionsEgress>"), "{shown}");
    let own = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc.1)];
    let default = [
        own[0],
        own[1],
        ("Filter.2.Name", "group-name"),
        ("Filter.2.Value.1", "default"),
    ];
    let default = endpoint.get(EC2, "DescribeSecurityGroups", &default, "groupId").await;
    endpoint
        .expect(
            EC2,
            &[
                (
                    "RevokeSecurityGroupIngress",
                    &[group, ("SecurityGroupRuleId.1", rule)],
                    None,
                ),
                ("DeleteSecurityGroup", &[("GroupId", &default)], Some("CannotDelete")),
                ("DeleteSecurityGroup", &[group], None),
                ("DeleteSecurityGroup", &[group], Some("InvalidGroup.NotFound")),
                ("DeleteVpc", &[vpc], None),
            ],
        )
        .await;
    endpoint.stop().await;
}
