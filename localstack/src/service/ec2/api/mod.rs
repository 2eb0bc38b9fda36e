//! The operations of EC2 that create, change and delete: each translates its input to the properties of a resource type.

mod acls;
mod addresses;
mod default_vpc;
mod endpoints;
mod flow_logs;
mod groups;
mod input;
mod interfaces;
mod peerings;
mod permissions;
mod routes;
mod tags;
mod vpcs;

use serde_json::{Value, json};

use super::describe::{flag_text, not_found};
use super::{gateway, nat, network_acl, route, vpc};
use crate::service::Call;
use crate::{AwsError, Context};

pub use default_vpc::create_first;

/// An operation that creates a resource, and answers as the Describe operation shows it.
struct Creation {
    resource_type: &'static str,
    /// The resource type in `TagSpecifications`.
    kind: &'static str,
    /// The members that are properties of the same name.
    members: &'static [&'static str],
    /// Members that may have their default value only.
    defaults: &'static [(&'static str, &'static str)],
    /// The member of the output, and that with the resource's ID in it.
    output: (&'static str, &'static str),
    describe: fn(&Context) -> Result<Vec<Value>, AwsError>,
}

/// The operations that create one resource from members of the same name.
const CREATIONS: [(&str, Creation); 6] = [
    (
        "CreateVpc",
        Creation {
            resource_type: "AWS::EC2::VPC",
            kind: "vpc",
            members: &["CidrBlock", "InstanceTenancy"],
            defaults: &[("AmazonProvidedIpv6CidrBlock", "false")],
            output: ("Vpc", "VpcId"),
            describe: vpc::describe,
        },
    ),
    (
        "CreateInternetGateway",
        Creation {
            resource_type: "AWS::EC2::InternetGateway",
            kind: "internet-gateway",
            members: &[],
            defaults: &[],
            output: ("InternetGateway", "InternetGatewayId"),
            describe: gateway::describe,
        },
    ),
    (
        "CreateEgressOnlyInternetGateway",
        Creation {
            resource_type: "AWS::EC2::EgressOnlyInternetGateway",
            kind: "egress-only-internet-gateway",
            members: &["VpcId"],
            defaults: &[],
            output: ("EgressOnlyInternetGateway", "EgressOnlyInternetGatewayId"),
            describe: gateway::describe_egress_only,
        },
    ),
    (
        "CreateRouteTable",
        Creation {
            resource_type: "AWS::EC2::RouteTable",
            kind: "route-table",
            members: &["VpcId"],
            defaults: &[],
            output: ("RouteTable", "RouteTableId"),
            describe: route::describe,
        },
    ),
    (
        "CreateNatGateway",
        Creation {
            resource_type: "AWS::EC2::NatGateway",
            kind: "natgateway",
            members: &["SubnetId", "AllocationId", "ConnectivityType", "PrivateIpAddress"],
            defaults: &[("AvailabilityMode", "zonal")],
            output: ("NatGateway", "NatGatewayId"),
            describe: nat::describe,
        },
    ),
    (
        "CreateNetworkAcl",
        Creation {
            resource_type: "AWS::EC2::NetworkAcl",
            kind: "network-acl",
            members: &["VpcId"],
            defaults: &[],
            output: ("NetworkAcl", "NetworkAclId"),
            describe: network_acl::describe,
        },
    ),
];

/// The operations that delete the resource that a member names, with its type.
const DELETIONS: [(&str, &str, &str); 6] = [
    ("DeleteVpc", "AWS::EC2::VPC", "VpcId"),
    ("DeleteSubnet", "AWS::EC2::Subnet", "SubnetId"),
    (
        "DeleteInternetGateway",
        "AWS::EC2::InternetGateway",
        "InternetGatewayId",
    ),
    ("DeleteRouteTable", "AWS::EC2::RouteTable", "RouteTableId"),
    (
        "DeleteNetworkInterface",
        "AWS::EC2::NetworkInterface",
        "NetworkInterfaceId",
    ),
    ("DeleteNetworkAcl", "AWS::EC2::NetworkAcl", "NetworkAclId"),
];

/// Serves one call, or returns `None` for an operation that is not here.
///
/// # Errors
/// The error of the API reference.
pub async fn call(cx: &Context, call: &Call) -> Option<Result<Value, AwsError>> {
    if let Some((_, creation)) = CREATIONS.iter().find(|(name, _)| *name == call.operation) {
        return Some(creation.create(cx, call).await);
    }
    if let Some((_, kind, member)) = DELETIONS.iter().find(|(name, ..)| *name == call.operation) {
        return Some(delete(cx, call, kind, member).await);
    }
    Some(match call.operation.as_str() {
        "CreateSubnet" => vpcs::create_subnet(cx, call).await,
        "DeleteEgressOnlyInternetGateway" => {
            let kind = "AWS::EC2::EgressOnlyInternetGateway";
            let deleted = delete(cx, call, kind, "EgressOnlyInternetGatewayId").await;
            deleted.map(|_| json!({"ReturnCode": true}))
        }
        "CreateVpcEndpoint" => endpoints::create(cx, call).await,
        "ModifyVpcEndpoint" => endpoints::modify(cx, call).await,
        "DeleteVpcEndpoints" => endpoints::delete(cx, call).await,
        "CreateDefaultVpc" => default_vpc::create(cx).await,
        "ModifyVpcAttribute" => vpcs::modify_vpc(cx, call).await,
        "ModifySubnetAttribute" => vpcs::modify_subnet(cx, call).await,
        "AttachInternetGateway" => vpcs::attach(cx, call).await,
        "DetachInternetGateway" => vpcs::detach(cx, call).await,
        "DeleteNatGateway" => {
            let deleted = delete(cx, call, "AWS::EC2::NatGateway", "NatGatewayId").await;
            deleted.map(|_| json!({"NatGatewayId": call.text("NatGatewayId")}))
        }
        "CreateRoute" => routes::create(cx, call).await,
        "ReplaceRoute" => routes::replace(cx, call).await,
        "DeleteRoute" => routes::delete(cx, call).await,
        "AssociateRouteTable" => routes::associate(cx, call).await,
        "DisassociateRouteTable" => routes::disassociate(cx, call).await,
        "ReplaceRouteTableAssociation" => routes::replace_association(cx, call).await,
        "AllocateAddress" => addresses::allocate(cx, call).await,
        "ReleaseAddress" => addresses::release(cx, call).await,
        "AssociateAddress" => interfaces::associate_address(cx, call).await,
        "DisassociateAddress" => interfaces::disassociate_address(cx, call).await,
        "CreateNetworkInterface" => interfaces::create(cx, call).await,
        "ModifyNetworkInterfaceAttribute" => interfaces::modify(cx, call).await,
        "DescribeNetworkInterfaceAttribute" => interfaces::describe_attribute(cx, call),
        "AssignPrivateIpAddresses" | "UnassignPrivateIpAddresses" => interfaces::change_addresses(cx, call),
        "CreateNetworkAclEntry" => acls::create_entry(cx, call).await,
        "ReplaceNetworkAclEntry" => acls::replace_entry(cx, call).await,
        "DeleteNetworkAclEntry" => acls::delete_entry(cx, call).await,
        "ReplaceNetworkAclAssociation" => acls::replace_association(cx, call),
        "CreateDhcpOptions" => acls::create_dhcp_options(cx, call).await,
        "DeleteDhcpOptions" => acls::delete_dhcp_options(cx, call).await,
        "AssociateDhcpOptions" => acls::associate_dhcp_options(cx, call).await,
        "CreateFlowLogs" => flow_logs::create(cx, call).await,
        "DeleteFlowLogs" => flow_logs::delete(cx, call).await,
        "CreateVpcPeeringConnection" => peerings::create(cx, call).await,
        "AcceptVpcPeeringConnection"
        | "RejectVpcPeeringConnection"
        | "DeleteVpcPeeringConnection"
        | "ModifyVpcPeeringConnectionOptions" => peerings::change(cx, call),
        "AssociateVpcCidrBlock" => vpcs::associate_block(cx, call).await,
        "DisassociateVpcCidrBlock" => vpcs::disassociate_block(cx, call).await,
        "ModifyVpcTenancy" => vpcs::modify_tenancy(cx, call).await,
        "DescribeTags" => tags::describe(cx, call),
        "CreateSecurityGroup" => groups::create(cx, call).await,
        "DeleteSecurityGroup" => groups::delete(cx, call).await,
        "AuthorizeSecurityGroupIngress" => groups::authorize(cx, call, false).await,
        "AuthorizeSecurityGroupEgress" => groups::authorize(cx, call, true).await,
        "RevokeSecurityGroupIngress" => groups::revoke(cx, call, false).await,
        "RevokeSecurityGroupEgress" => groups::revoke(cx, call, true).await,
        "ModifySecurityGroupRules" => groups::modify_rules(cx, call).await,
        "UpdateSecurityGroupRuleDescriptionsIngress" => groups::describe_rules(cx, call, false).await,
        "UpdateSecurityGroupRuleDescriptionsEgress" => groups::describe_rules(cx, call, true).await,
        "CreateTags" => tags::create(cx, call),
        "DeleteTags" => tags::delete(cx, call),
        _ => return None,
    })
}

impl Creation {
    async fn create(&self, cx: &Context, call: &Call) -> Result<Value, AwsError> {
        self.create_with(cx, call, json!({})).await
    }

    /// Creates the resource with these properties in addition to those of the call.
    async fn create_with(&self, cx: &Context, call: &Call, more: Value) -> Result<Value, AwsError> {
        let mut properties = input::properties(call, self.kind, self.members, self.defaults)?;
        properties.extend(more.as_object().cloned().unwrap_or_default());
        let id = input::create_once(cx, call, self.resource_type, properties.into()).await?;
        let shown = (self.describe)(cx)?.into_iter().find(|item| item[self.output.1] == id);
        let mut output = json!({ self.output.0: shown });
        if let (Some(token), "CreateRouteTable" | "CreateNatGateway" | "CreateVpcEndpoint") =
            (call.text("ClientToken"), call.operation.as_str())
        {
            output["ClientToken"] = token.into();
        }
        Ok(output)
    }
}

/// Deletes the resource whose ID the call names.
async fn delete(cx: &Context, call: &Call, resource_type: &str, member: &str) -> Result<Value, AwsError> {
    let id = call.text(member).unwrap_or_default();
    if cx.delete_resource(resource_type, &id).await? {
        Ok(json!({}))
    } else {
        Err(not_found(member, &id))
    }
}

/// Changes the properties of the resource whose ID the call names.
async fn update(
    cx: &Context,
    call: &Call,
    resource_type: &str,
    member: &str,
    change: impl FnOnce(&mut serde_json::Map<String, Value>) -> Result<(), AwsError> + Send,
) -> Result<(), AwsError> {
    let id = call.text(member).unwrap_or_default();
    let updated = cx.update_resource(resource_type, &id, change).await?;
    updated.map(drop).ok_or_else(|| not_found(member, &id))
}

/// Returns the boolean in `{"MEMBER": {"Value": …}}`.
fn attribute(call: &Call, member: &str) -> Option<bool> {
    flag_text(call.input.get(member)?.get("Value")?)
}
