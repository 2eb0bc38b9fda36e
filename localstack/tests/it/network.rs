//! Tests of EC2's operations that create, change and delete networks.

use embedded_endpoint::Behavior;

use crate::endpoint::{Endpoint, element};

const EC2: (&str, &str) = ("ec2", "2016-11-15");

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a list of calls")]
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
    let vpc = endpoint.get(EC2, "CreateVpc", &input, "vpcId").await;
    let vpc = ("VpcId", vpc.as_str());
    let named = endpoint.get(
        EC2,
        "DescribeVpcs",
        &[("Filter.1.Name", "tag:Name"), ("Filter.1.Value.1", "blue")],
        "vpcId",
    );
    assert_eq!(named.await, vpc.1);
    let subnet = [vpc, ("CidrBlock", "10.0.1.0/24"), ("AvailabilityZoneId", "use1-az2")];
    let zone = endpoint.get(EC2, "CreateSubnet", &subnet, "availabilityZone").await;
    assert_eq!(zone, "us-east-1b");
    let own = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc.1)];
    let subnet = endpoint.get(EC2, "DescribeSubnets", &own, "subnetId").await;
    let subnet = ("SubnetId", subnet.as_str());
    let gateway = endpoint
        .get(EC2, "CreateInternetGateway", &[], "internetGatewayId")
        .await;
    let gateway = ("InternetGatewayId", gateway.as_str());
    let table = endpoint
        .get(EC2, "CreateRouteTable", &[vpc, ("ClientToken", "t")], "routeTableId")
        .await;
    let again = endpoint
        .get(EC2, "CreateRouteTable", &[vpc, ("ClientToken", "t")], "routeTableId")
        .await;
    assert_eq!(table, again);
    let table = ("RouteTableId", table.as_str());
    let target = ("GatewayId", gateway.1);
    let default = ("DestinationCidrBlock", "0.0.0.0/0");
    endpoint
        .expect(
            EC2,
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
        endpoint.get(EC2, "DescribeSubnets", &own, "mapPublicIpOnLaunch").await,
        "true"
    );
    let attribute = [vpc, ("Attribute", "enableDnsHostnames")];
    assert_eq!(
        endpoint.get(EC2, "DescribeVpcAttribute", &attribute, "value").await,
        "true"
    );

    let first = endpoint
        .get(EC2, "AssociateRouteTable", &[table, subnet], "associationId")
        .await;
    let other = endpoint.get(EC2, "CreateRouteTable", &[vpc], "routeTableId").await;
    let other = ("RouteTableId", other.as_str());
    endpoint
        .expect(
            EC2,
            &[(
                "AssociateRouteTable",
                &[other, subnet],
                Some("Resource.AlreadyAssociated"),
            )],
        )
        .await;
    let moved = [("AssociationId", first.as_str()), other];
    let second = endpoint
        .get(EC2, "ReplaceRouteTableAssociation", &moved, "newAssociationId")
        .await;
    let main = [
        own[0],
        own[1],
        ("Filter.2.Name", "association.main"),
        ("Filter.2.Value.1", "true"),
    ];
    let association = endpoint
        .get(EC2, "DescribeRouteTables", &main, "routeTableAssociationId")
        .await;
    let main_table = endpoint.get(EC2, "DescribeRouteTables", &main, "routeTableId").await;
    let moved = [("AssociationId", association.as_str()), table];
    let association = endpoint
        .get(EC2, "ReplaceRouteTableAssociation", &moved, "newAssociationId")
        .await;
    let allocation = endpoint
        .get(EC2, "AllocateAddress", &[("Domain", "vpc")], "allocationId")
        .await;
    let allocation = ("AllocationId", allocation.as_str());
    let nat = endpoint
        .get(EC2, "CreateNatGateway", &[subnet, allocation], "natGatewayId")
        .await;
    let nat = ("NatGatewayId", nat.as_str());
    let service = ("ServiceName", "com.amazonaws.us-east-1.s3");
    let endpoint_id = endpoint
        .get(EC2, "CreateVpcEndpoint", &[vpc, service], "vpcEndpointId")
        .await;
    let modified = [("VpcEndpointId", endpoint_id.as_str()), ("AddRouteTableId.1", table.1)];
    let tags = [
        ("ResourceId.1", nat.1),
        ("ResourceId.2", endpoint_id.as_str()),
        ("Tag.1.Key", "k"),
        ("Tag.1.Value", "v"),
    ];
    endpoint
        .expect(
            EC2,
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
        endpoint.get(EC2, "DescribeNatGateways", &tagged, "natGatewayId").await,
        nat.1
    );
    let routes = endpoint.action(EC2, "DescribeVpcEndpoints", &tagged).await.unwrap();
    assert!(routes.contains(table.1), "{routes}");
    endpoint
        .expect(
            EC2,
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
async fn an_account_has_a_default_vpc_until_it_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(&folder, 103, Behavior::default()).await;
    let is_default = [("Filter.1.Name", "isDefault"), ("Filter.1.Value.1", "true")];
    let vpc = endpoint.get(EC2, "DescribeVpcs", &is_default, "vpcId").await;
    let own = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc.as_str())];
    let subnets = endpoint.action(EC2, "DescribeSubnets", &own).await.unwrap();
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
    let acl = endpoint.action(EC2, "DescribeNetworkAcls", &acl).await.unwrap();
    assert_eq!(acl.matches("<subnetId>").count(), 3, "{acl}");
    let zone = endpoint
        .action(EC2, "DescribeAvailabilityZones", &[("ZoneId.1", "use1-az1")])
        .await
        .unwrap();
    assert_eq!(
        (zone.matches("<item>").count(), element(&zone, "zoneName")),
        (1, Some("us-east-1a"))
    );
    let (name, text) = (("GroupName", "web"), ("GroupDescription", "d"));
    let group = endpoint.get(EC2, "CreateSecurityGroup", &[name, text], "groupId").await;
    let of_group = [("GroupName.1", "web")];
    assert_eq!(
        endpoint.get(EC2, "DescribeSecurityGroups", &of_group, "vpcId").await,
        vpc
    );
    let unknown = [
        ("GroupId", group.as_str()),
        ("IpProtocol", "tcp"),
        ("FromPort", "1"),
        ("ToPort", "1"),
        ("CidrIp", "10.0.0.0/8"),
    ];
    let unknown = endpoint
        .action(EC2, "RevokeSecurityGroupIngress", &unknown)
        .await
        .unwrap();
    assert!(unknown.contains("<unknownIpPermissionSet><item>"), "{unknown}");
    endpoint
        .expect(
            EC2,
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
