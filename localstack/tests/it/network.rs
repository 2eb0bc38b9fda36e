//! Tests of EC2's operations that create, change and delete networks.

use embedded_endpoint::Behavior;

use crate::endpoint::{Answer, Endpoint, element};

async fn ec2(endpoint: &Endpoint, action: &str, parameters: &[(&str, &str)]) -> Answer {
    let mut all = vec![("Action", action)];
    all.extend(parameters);
    endpoint.query("ec2", "2016-11-15", &all).await
}

/// Returns the text of an element in the answer of a call that must succeed.
async fn get(endpoint: &Endpoint, action: &str, parameters: &[(&str, &str)], name: &str) -> String {
    let answer = ec2(endpoint, action, parameters).await;
    let answer = answer.unwrap_or_else(|code| panic!("{action} {parameters:?}: {code}"));
    element(&answer, name).unwrap_or_default().to_owned()
}

/// Calls operations in order, each of which must succeed, or fail with a code.
async fn expect(endpoint: &Endpoint, calls: &[(&str, &[(&str, &str)], Option<&str>)]) {
    for (action, parameters, code) in calls {
        let answer = ec2(endpoint, action, parameters).await;
        assert_eq!(
            answer.as_ref().err().map(String::as_str),
            *code,
            "{action} {parameters:?}"
        );
    }
}

#[tokio::test]
async fn a_network_is_created_changed_and_deleted_by_calls() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 101, Behavior::default()).await;
    let tag = [
        ("TagSpecification.1.ResourceType", "vpc"),
        ("TagSpecification.1.Tag.1.Key", "Name"),
        ("TagSpecification.1.Tag.1.Value", "blue"),
    ];
    let mut input = vec![("CidrBlock", "10.0.0.0/16"), ("AmazonProvidedIpv6CidrBlock", "false")];
    input.extend(tag);
    let vpc = get(&endpoint, "CreateVpc", &input, "vpcId").await;
    let vpc = ("VpcId", vpc.as_str());
    let named = get(
        &endpoint,
        "DescribeVpcs",
        &[("Filter.1.Name", "tag:Name"), ("Filter.1.Value.1", "blue")],
        "vpcId",
    );
    assert_eq!(named.await, vpc.1);
    let subnet = [vpc, ("CidrBlock", "10.0.1.0/24"), ("AvailabilityZoneId", "use1-az2")];
    let zone = get(&endpoint, "CreateSubnet", &subnet, "availabilityZone").await;
    assert_eq!(zone, "us-east-1b");
    let own = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc.1)];
    let subnet = get(&endpoint, "DescribeSubnets", &own, "subnetId").await;
    let subnet = ("SubnetId", subnet.as_str());
    let gateway = get(&endpoint, "CreateInternetGateway", &[], "internetGatewayId").await;
    let gateway = ("InternetGatewayId", gateway.as_str());
    let table = get(
        &endpoint,
        "CreateRouteTable",
        &[vpc, ("ClientToken", "t")],
        "routeTableId",
    )
    .await;
    let again = get(
        &endpoint,
        "CreateRouteTable",
        &[vpc, ("ClientToken", "t")],
        "routeTableId",
    )
    .await;
    assert_eq!(table, again);
    let table = ("RouteTableId", table.as_str());
    let target = ("GatewayId", gateway.1);
    let default = ("DestinationCidrBlock", "0.0.0.0/0");
    expect(
        &endpoint,
        &[
            ("CreateRoute", &[table, default, target], Some("InvalidParameterValue")),
            ("AttachInternetGateway", &[gateway, vpc], None),
            (
                "AttachInternetGateway",
                &[gateway, vpc],
                Some("Resource.AlreadyAssociated"),
            ),
            ("CreateRoute", &[table, default, target], None),
            ("CreateRoute", &[table, default, target], Some("RouteAlreadyExists")),
            (
                "DeleteRoute",
                &[table, ("DestinationCidrBlock", "10.0.0.0/16")],
                Some("InvalidParameterValue"),
            ),
            (
                "ReplaceRoute",
                &[table, ("DestinationCidrBlock", "10.9.0.0/16"), target],
                Some("InvalidRoute.NotFound"),
            ),
            (
                "CreateRoute",
                &[table, default, ("TransitGatewayId", "tgw-1")],
                Some("InvalidParameterValue"),
            ),
            ("ModifyVpcAttribute", &[vpc, ("EnableDnsHostnames.Value", "true")], None),
            (
                "ModifySubnetAttribute",
                &[subnet, ("MapPublicIpOnLaunch.Value", "true")],
                None,
            ),
            (
                "ModifySubnetAttribute",
                &[subnet, ("AssignIpv6AddressOnCreation.Value", "true")],
                Some("InvalidParameterValue"),
            ),
            ("DeleteVpc", &[vpc], Some("DependencyViolation")),
            ("DeleteVpc", &[vpc, ("DryRun", "true")], Some("DryRunOperation")),
        ],
    )
    .await;
    assert_eq!(
        get(&endpoint, "DescribeSubnets", &own, "mapPublicIpOnLaunch").await,
        "true"
    );
    let attribute = [vpc, ("Attribute", "enableDnsHostnames")];
    assert_eq!(
        get(&endpoint, "DescribeVpcAttribute", &attribute, "value").await,
        "true"
    );

    let first = get(&endpoint, "AssociateRouteTable", &[table, subnet], "associationId").await;
    let other = get(&endpoint, "CreateRouteTable", &[vpc], "routeTableId").await;
    let other = ("RouteTableId", other.as_str());
    expect(
        &endpoint,
        &[(
            "AssociateRouteTable",
            &[other, subnet],
            Some("Resource.AlreadyAssociated"),
        )],
    )
    .await;
    let moved = [("AssociationId", first.as_str()), other];
    let second = get(&endpoint, "ReplaceRouteTableAssociation", &moved, "newAssociationId").await;
    let main = [
        own[0],
        own[1],
        ("Filter.2.Name", "association.main"),
        ("Filter.2.Value.1", "true"),
    ];
    let association = get(&endpoint, "DescribeRouteTables", &main, "routeTableAssociationId").await;
    let main_table = get(&endpoint, "DescribeRouteTables", &main, "routeTableId").await;
    let moved = [("AssociationId", association.as_str()), table];
    let association = get(&endpoint, "ReplaceRouteTableAssociation", &moved, "newAssociationId").await;
    let allocation = get(&endpoint, "AllocateAddress", &[("Domain", "vpc")], "allocationId").await;
    let allocation = ("AllocationId", allocation.as_str());
    let nat = get(&endpoint, "CreateNatGateway", &[subnet, allocation], "natGatewayId").await;
    let nat = ("NatGatewayId", nat.as_str());
    let service = ("ServiceName", "com.amazonaws.us-east-1.s3");
    let endpoint_id = get(&endpoint, "CreateVpcEndpoint", &[vpc, service], "vpcEndpointId").await;
    let modified = [("VpcEndpointId", endpoint_id.as_str()), ("AddRouteTableId.1", table.1)];
    let tags = [
        ("ResourceId.1", nat.1),
        ("ResourceId.2", endpoint_id.as_str()),
        ("Tag.1.Key", "k"),
        ("Tag.1.Value", "v"),
    ];
    expect(
        &endpoint,
        &[
            (
                "DisassociateRouteTable",
                &[("AssociationId", &association)],
                Some("InvalidParameterValue"),
            ),
            ("DeleteRouteTable", &[table], Some("DependencyViolation")),
            ("ModifyVpcEndpoint", &modified, None),
            ("CreateTags", &tags, None),
            (
                "CreateTags",
                &[tags[0], ("Tag.1.Key", "aws:k"), ("Tag.1.Value", "v")],
                Some("InvalidParameterValue"),
            ),
            (
                "CreateTags",
                &[("ResourceId.1", "nat-1"), tags[2], tags[3]],
                Some("NatGatewayNotFound"),
            ),
            ("DeleteTags", &[tags[0], tags[2], ("Tag.1.Value", "other")], None),
            ("ReleaseAddress", &[allocation], Some("InvalidIPAddress.InUse")),
        ],
    )
    .await;
    let tagged = [("Filter.1.Name", "tag:k"), ("Filter.1.Value.1", "v")];
    assert_eq!(
        get(&endpoint, "DescribeNatGateways", &tagged, "natGatewayId").await,
        nat.1
    );
    let routes = ec2(&endpoint, "DescribeVpcEndpoints", &tagged).await.unwrap();
    assert!(routes.contains(table.1), "{routes}");
    expect(
        &endpoint,
        &[
            ("DeleteNatGateway", &[nat], None),
            ("DeleteNatGateway", &[nat], Some("NatGatewayNotFound")),
            ("ReleaseAddress", &[allocation], None),
            ("DeleteVpcEndpoints", &[("VpcEndpointId.1", &endpoint_id)], None),
            ("DisassociateRouteTable", &[("AssociationId", &second)], None),
            (
                "DisassociateRouteTable",
                &[("AssociationId", &second)],
                Some("InvalidAssociationID.NotFound"),
            ),
            ("DeleteRouteTable", &[other], None),
            ("DeleteRouteTable", &[("RouteTableId", &main_table)], None),
            ("DeleteRoute", &[table, default], None),
            ("DeleteRoute", &[table, default], Some("InvalidRoute.NotFound")),
            ("DetachInternetGateway", &[gateway, vpc], None),
            ("DetachInternetGateway", &[gateway, vpc], Some("Gateway.NotAttached")),
            ("DeleteInternetGateway", &[gateway], None),
            ("DeleteSubnet", &[subnet], None),
            ("DeleteVpc", &[vpc], None),
            ("DescribeVpcs", &[("VpcId.1", vpc.1)], Some("InvalidVpcID.NotFound")),
        ],
    )
    .await;
    endpoint.stop().await;
}

#[tokio::test]
async fn rules_of_a_security_group_are_added_changed_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 102, Behavior::default()).await;
    let vpc = get(&endpoint, "CreateVpc", &[("CidrBlock", "10.0.0.0/16")], "vpcId").await;
    let vpc = ("VpcId", vpc.as_str());
    let (name, text) = (("GroupName", "web"), ("GroupDescription", "d"));
    let group = get(&endpoint, "CreateSecurityGroup", &[name, text, vpc], "groupId").await;
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
    let added = ec2(&endpoint, "AuthorizeSecurityGroupIngress", &tagged).await.unwrap();
    assert_eq!(added.matches("<securityGroupRuleId>").count(), 1, "{added}");
    let rule = element(&added, "securityGroupRuleId").unwrap();
    let peers = [
        group,
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.Groups.1.GroupId", group.1),
        ("IpPermissions.1.Ipv6Ranges.1.CidrIpv6", "::/0"),
    ];
    let both = ec2(&endpoint, "AuthorizeSecurityGroupIngress", &peers).await.unwrap();
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
    expect(
        &endpoint,
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
    let shown = ec2(&endpoint, "DescribeSecurityGroupRules", &id).await.unwrap();
    for (name, value) in [
        ("fromPort", "80"),
        ("description", "changed"),
        ("key", "k"),
        ("ipProtocol", "tcp"),
    ] {
        assert_eq!(element(&shown, name), Some(value), "{shown}");
    }
    let shown = ec2(&endpoint, "DescribeSecurityGroups", &[("GroupId.1", group.1)])
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
    let default = get(&endpoint, "DescribeSecurityGroups", &default, "groupId").await;
    expect(
        &endpoint,
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

#[tokio::test]
async fn an_account_has_a_default_vpc_until_it_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 103, Behavior::default()).await;
    let is_default = [("Filter.1.Name", "isDefault"), ("Filter.1.Value.1", "true")];
    let vpc = get(&endpoint, "DescribeVpcs", &is_default, "vpcId").await;
    let own = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc.as_str())];
    let subnets = ec2(&endpoint, "DescribeSubnets", &own).await.unwrap();
    assert_eq!(
        subnets.matches("<defaultForAz>true</defaultForAz>").count(),
        3,
        "{subnets}"
    );
    let acl = [
        own[0],
        own[1],
        ("Filter.2.Name", "default"),
        ("Filter.2.Value.1", "true"),
    ];
    let acl = ec2(&endpoint, "DescribeNetworkAcls", &acl).await.unwrap();
    assert_eq!(acl.matches("<subnetId>").count(), 3, "{acl}");
    let zone = ec2(&endpoint, "DescribeAvailabilityZones", &[("ZoneId.1", "use1-az1")])
        .await
        .unwrap();
    assert_eq!(
        (zone.matches("<item>").count(), element(&zone, "zoneName")),
        (1, Some("us-east-1a"))
    );
    let (name, text) = (("GroupName", "web"), ("GroupDescription", "d"));
    let group = get(&endpoint, "CreateSecurityGroup", &[name, text], "groupId").await;
    let of_group = [("GroupName.1", "web")];
    assert_eq!(get(&endpoint, "DescribeSecurityGroups", &of_group, "vpcId").await, vpc);
    let unknown = [
        ("GroupId", group.as_str()),
        ("IpProtocol", "tcp"),
        ("FromPort", "1"),
        ("ToPort", "1"),
        ("CidrIp", "10.0.0.0/8"),
    ];
    let unknown = ec2(&endpoint, "RevokeSecurityGroupIngress", &unknown).await.unwrap();
    assert!(unknown.contains("<unknownIpPermissionSet><item>"), "{unknown}");
    expect(
        &endpoint,
        &[
            ("CreateDefaultVpc", &[], Some("DefaultVpcAlreadyExists")),
            ("DeleteSecurityGroup", &[("GroupName", "web")], None),
            ("DescribePrefixLists", &[], None),
            ("DescribeManagedPrefixLists", &[], None),
            (
                "DescribeDhcpOptions",
                &[("DhcpOptionsId.1", "dopt-1")],
                Some("InvalidDhcpOptionID.NotFound"),
            ),
            ("GetManagedPrefixListEntries", &[("PrefixListId", "pl-63a5400a")], None),
            (
                "GetManagedPrefixListEntries",
                &[("PrefixListId", "pl-1")],
                Some("InvalidPrefixListID.NotFound"),
            ),
            ("DescribeVpnGateways", &[], None),
            (
                "DescribeInstances",
                &[("InstanceId.1", "i-1")],
                Some("InvalidInstanceID.NotFound"),
            ),
            (
                "DescribeVpcs",
                &[("Filter.1.Name", "colour"), ("Filter.1.Value.1", "blue")],
                Some("InvalidParameterValue"),
            ),
        ],
    )
    .await;
    endpoint.stop().await;
}
