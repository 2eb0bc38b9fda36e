//! EC2's networks: records with AWS's rules, and the question that the runtime asks of them (`reach`).

mod cidr;
mod describe;
mod endpoint;
mod flow_log;
mod gateway;
mod ids;
mod nat;
pub mod reach;
mod route;
mod rule;
mod security_group;
mod subnet;
mod vpc;
mod zone;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::records::record_type;
use crate::service::Call;
use crate::{AwsError, Context, ResourceType, Service};

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
        ]
    }

    async fn call(&self, cx: &Context, call: Call) -> Result<Value, AwsError> {
        match call.operation.as_str() {
            "DescribeVpcs" => describe::answer("Vpcs", "VpcId", vpc::describe(cx)?, &call),
            "DescribeSubnets" => describe::answer("Subnets", "SubnetId", subnet::describe(cx)?, &call),
            "DescribeInternetGateways" => {
                describe::answer("InternetGateways", "InternetGatewayId", gateway::describe(cx)?, &call)
            }
            "DescribeRouteTables" => describe::answer("RouteTables", "RouteTableId", route::describe(cx)?, &call),
            "DescribeAddresses" => describe::answer("Addresses", "AllocationId", nat::describe_addresses(cx)?, &call),
            "DescribeNatGateways" => describe::answer("NatGateways", "NatGatewayId", nat::describe(cx)?, &call),
            "DescribeSecurityGroups" => {
                describe::answer("SecurityGroups", "GroupId", security_group::describe(cx)?, &call)
            }
            "DescribeSecurityGroupRules" => {
                describe::answer("SecurityGroupRules", "SecurityGroupRuleId", rule::describe(cx)?, &call)
            }
            "DescribeVpcEndpoints" => describe::answer("VpcEndpoints", "VpcEndpointId", endpoint::describe(cx)?, &call),
            "DescribeFlowLogs" => describe::answer("FlowLogs", "FlowLogId", flow_log::describe(cx)?, &call),
            "DescribeNetworkInterfaces" => {
                describe::answer("NetworkInterfaces", "NetworkInterfaceId", Vec::new(), &call)
            }
            "DescribeAvailabilityZones" => describe::answer("AvailabilityZones", "ZoneName", zone::describe(cx), &call),
            "DescribeRegions" => describe::answer("Regions", "RegionName", zone::regions(cx), &call),
            "DescribeAccountAttributes" => Ok(json!({"AccountAttributes": [
                {"AttributeName": "supported-platforms", "AttributeValues": [{"AttributeValue": "VPC"}]},
                {"AttributeName": "default-vpc", "AttributeValues": [{"AttributeValue": "none"}]},
            ]})),
            other => Err(AwsError::not_implemented("ec2", other)),
        }
    }
}
