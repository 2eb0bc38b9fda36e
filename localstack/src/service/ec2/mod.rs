//! Amazon EC2: networks as records checked by AWS's rules, and the security-group check of the runtime (`reachability`).

mod api;
mod cidr;
mod describe;
mod dhcp_options;
mod endpoint;
mod error;
mod flow_log;
mod gateway;
mod interface;
mod model;
mod nat;
mod network;
mod network_acl;
mod peering;
pub(crate) mod reachability;
mod route;
mod rule;
mod security_group;
mod subnet;
mod vpc;
mod vpc_block;
mod zone;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::records::record_type;
use crate::service::Call;
use crate::{AwsError, Context, ResourceType, Service};

/// Returns the EC2 service.
pub fn service() -> Arc<dyn Service> {
    Arc::new(Ec2)
}

struct Ec2;

#[async_trait]
impl Service for Ec2 {
    fn name(&self) -> &'static str {
        "ec2"
    }

    fn types(&self) -> Vec<Arc<dyn ResourceType>> {
        vec![
            record_type::<vpc::Vpc>(),
            record_type::<subnet::Subnet>(),
            record_type::<gateway::InternetGateway>(),
            record_type::<gateway::Attachment>(),
            record_type::<gateway::EgressOnly>(),
            record_type::<route::RouteTable>(),
            record_type::<route::Route>(),
            record_type::<route::Association>(),
            record_type::<nat::Eip>(),
            record_type::<nat::NatGateway>(),
            record_type::<security_group::SecurityGroup>(),
            record_type::<rule::Ingress>(),
            record_type::<rule::Egress>(),
            record_type::<endpoint::VpcEndpoint>(),
            record_type::<flow_log::FlowLog>(),
            record_type::<network_acl::NetworkAcl>(),
            record_type::<network_acl::Entry>(),
            record_type::<network_acl::Association>(),
            record_type::<dhcp_options::DhcpOptions>(),
            record_type::<dhcp_options::Association>(),
            record_type::<interface::NetworkInterface>(),
            record_type::<interface::AddressAssociation>(),
            record_type::<vpc_block::VpcBlock>(),
            record_type::<peering::Peering>(),
        ]
    }

    async fn start(&self, cx: &Context) -> anyhow::Result<()> {
        Ok(api::create_first(cx).await?)
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        if call.boolean("DryRun") == Some(true) {
            // EC2 API Reference, "Common error codes".
            let message = "Request would have succeeded, but DryRun flag is set.";
            return Err(AwsError::new("DryRunOperation", message).with_status(412));
        }
        if let Some(result) = api::call(cx, &call).await {
            return result;
        }
        match call.operation.as_str() {
            "DescribeVpcs" => describe::response("Vpcs", "VpcId", vpc::describe(cx)?, &call),
            "DescribeVpcAttribute" => vpc::describe_attribute(cx, &call),
            "DescribeSubnets" => describe::response("Subnets", "SubnetId", subnet::describe(cx)?, &call),
            "DescribeInternetGateways" => {
                describe::response("InternetGateways", "InternetGatewayId", gateway::describe(cx)?, &call)
            }
            "DescribeEgressOnlyInternetGateways" => {
                let all = gateway::describe_egress_only(cx)?;
                describe::response("EgressOnlyInternetGateways", "EgressOnlyInternetGatewayId", all, &call)
            }
            "DescribeRouteTables" => describe::response("RouteTables", "RouteTableId", route::describe(cx)?, &call),
            "DescribeAddresses" => describe::response("Addresses", "AllocationId", nat::describe_addresses(cx)?, &call),
            "DescribeNatGateways" => describe::response("NatGateways", "NatGatewayId", nat::describe(cx)?, &call),
            "DescribeSecurityGroups" => {
                describe::response("SecurityGroups", "GroupId", security_group::describe(cx)?, &call)
            }
            "DescribeSecurityGroupRules" => {
                describe::response("SecurityGroupRules", "SecurityGroupRuleId", rule::describe(cx)?, &call)
            }
            "DescribeVpcEndpoints" => {
                describe::response("VpcEndpoints", "VpcEndpointId", endpoint::describe(cx)?, &call)
            }
            "DescribeFlowLogs" => describe::response("FlowLogs", "FlowLogId", flow_log::describe(cx)?, &call),
            "DescribeAddressesAttribute" => {
                describe::response("Addresses", "AllocationId", nat::describe_attributes(cx)?, &call)
            }
            "DescribeNetworkAcls" => {
                describe::response("NetworkAcls", "NetworkAclId", network_acl::describe(cx)?, &call)
            }
            "DescribeDhcpOptions" => {
                describe::response("DhcpOptions", "DhcpOptionsId", dhcp_options::describe(cx)?, &call)
            }
            "DescribePrefixLists" => {
                describe::response("PrefixLists", "PrefixListId", network::prefix_lists(cx), &call)
            }
            "DescribeManagedPrefixLists" => {
                describe::response("PrefixLists", "PrefixListId", network::managed_prefix_lists(cx), &call)
            }
            "GetManagedPrefixListEntries" => network::prefix_list_entries(&call),
            "DescribeVpnGateways" => describe::response("VpnGateways", "VpnGatewayId", Vec::new(), &call),
            "DescribeInstances" => describe::response("Reservations", "InstanceId", Vec::new(), &call),
            "DescribeNetworkInterfaces" => describe::response(
                "NetworkInterfaces",
                "NetworkInterfaceId",
                interface::describe(cx)?,
                &call,
            ),
            "DescribeVpcPeeringConnections" => describe::response(
                "VpcPeeringConnections",
                "VpcPeeringConnectionId",
                peering::describe(cx)?,
                &call,
            ),
            "DescribeAvailabilityZones" => {
                describe::response("AvailabilityZones", "ZoneName", zone::describe(cx), &call)
            }
            "DescribeRegions" => describe::response("Regions", "RegionName", zone::regions(cx), &call),
            "DescribeAccountAttributes" => {
                let attributes = describe::account_attributes(model::default_vpc(cx)?.map(|vpc| vpc.id));
                describe::response("AccountAttributes", "AttributeName", attributes, &call)
            }
            other => Err(AwsError::not_implemented("ec2", other)),
        }
    }
}
