//! The collections of EC2's records, and look-ups that return AWS's own errors.

use ipnet::Ipv4Net;

use super::cidr;
use super::error::{invalid_parameter, required};
use crate::records::{Record, Records};
use crate::{AwsError, Context};

pub const VPCS: Records = Records("ec2.vpcs");
pub const SUBNETS: Records = Records("ec2.subnets");
pub const INTERNET_GATEWAYS: Records = Records("ec2.internet-gateways");
pub const GATEWAY_ATTACHMENTS: Records = Records("ec2.gateway-attachments");
pub const ROUTE_TABLES: Records = Records("ec2.route-tables");
pub const ROUTES: Records = Records("ec2.routes");
pub const ROUTE_TABLE_ASSOCIATIONS: Records = Records("ec2.route-table-associations");
pub const ADDRESSES: Records = Records("ec2.addresses");
pub const NAT_GATEWAYS: Records = Records("ec2.nat-gateways");
pub const SECURITY_GROUPS: Records = Records("ec2.security-groups");
pub const SECURITY_GROUP_RULES: Records = Records("ec2.security-group-rules");
pub const VPC_ENDPOINTS: Records = Records("ec2.vpc-endpoints");
pub const FLOW_LOGS: Records = Records("ec2.flow-logs");
pub const EGRESS_ONLY_GATEWAYS: Records = Records("ec2.egress-only-gateways");
pub const NETWORK_ACLS: Records = Records("ec2.network-acls");
pub const NETWORK_ACL_ENTRIES: Records = Records("ec2.network-acl-entries");
pub const DHCP_OPTION_SETS: Records = Records("ec2.dhcp-options");
pub const NETWORK_INTERFACES: Records = Records("ec2.network-interfaces");
pub const ADDRESS_ASSOCIATIONS: Records = Records("ec2.address-associations");
pub const VPC_BLOCKS: Records = Records("ec2.vpc-cidr-blocks");
pub const PEERINGS: Records = Records("ec2.vpc-peering-connections");

/// Returns a new ID: the prefix, `-0` and 16 hexadecimal digits.
pub fn new_id(prefix: &str) -> String {
    format!("{prefix}-0{:016x}", rand::random::<u64>())
}

pub fn vpc(cx: &Context, id: &str) -> Result<Record, AwsError> {
    find(cx, VPCS, "InvalidVpcID", &format!("vpc ID '{id}'"), id)
}

/// Returns true for the account's default VPC.
pub fn is_default(vpc: &Record) -> bool {
    vpc.computed.contains_key("Default")
}

/// Returns the account's default VPC, if it has one.
pub fn default_vpc(cx: &Context) -> Result<Option<Record>, AwsError> {
    VPCS.find(cx, is_default)
}

pub fn subnet(cx: &Context, id: &str) -> Result<Record, AwsError> {
    find(cx, SUBNETS, "InvalidSubnetID", &format!("subnet ID '{id}'"), id)
}

pub fn internet_gateway(cx: &Context, id: &str) -> Result<Record, AwsError> {
    let object = format!("internetGateway ID '{id}'");
    find(cx, INTERNET_GATEWAYS, "InvalidInternetGatewayID", &object, id)
}

pub fn route_table(cx: &Context, id: &str) -> Result<Record, AwsError> {
    find(
        cx,
        ROUTE_TABLES,
        "InvalidRouteTableID",
        &format!("routeTable ID '{id}'"),
        id,
    )
}

pub fn nat_gateway(cx: &Context, id: &str) -> Result<Record, AwsError> {
    find(
        cx,
        NAT_GATEWAYS,
        "InvalidNatGatewayID",
        &format!("natGateway ID '{id}'"),
        id,
    )
}

pub fn security_group(cx: &Context, id: &str) -> Result<Record, AwsError> {
    find(
        cx,
        SECURITY_GROUPS,
        "InvalidGroup",
        &format!("security group '{id}'"),
        id,
    )
}

/// Returns the Elastic IP address with an allocation ID.
pub fn address(cx: &Context, allocation: &str) -> Result<Record, AwsError> {
    let found = ADDRESSES.find(cx, |address| {
        address.computed("AllocationId").as_deref() == Some(allocation)
    })?;
    found.ok_or_else(|| not_found("InvalidAllocationID", &format!("allocation ID '{allocation}'")))
}

/// Returns the Elastic IP address with a public IP.
pub fn address_of(cx: &Context, ip: &str) -> Result<Record, AwsError> {
    let reason = format!("Address '{ip}' not found.");
    ADDRESSES
        .get(cx, ip)?
        .ok_or_else(|| AwsError::new("InvalidAddress.NotFound", reason))
}

pub fn network_acl(cx: &Context, id: &str) -> Result<Record, AwsError> {
    find(
        cx,
        NETWORK_ACLS,
        "InvalidNetworkAclID",
        &format!("network acl ID '{id}'"),
        id,
    )
}

pub fn dhcp_options(cx: &Context, id: &str) -> Result<Record, AwsError> {
    find(
        cx,
        DHCP_OPTION_SETS,
        "InvalidDhcpOptionID",
        &format!("dhcpOption ID '{id}'"),
        id,
    )
}

pub fn network_interface(cx: &Context, id: &str) -> Result<Record, AwsError> {
    let object = format!("networkInterface ID '{id}'");
    find(cx, NETWORK_INTERFACES, "InvalidNetworkInterfaceID", &object, id)
}

/// Returns the address block of a VPC or a subnet.
pub fn block(record: &Record) -> Result<Ipv4Net, AwsError> {
    cidr::parse(&required(record, "CidrBlock")?).map_err(|error| invalid_parameter(error.to_string()))
}

fn find(cx: &Context, records: Records, code: &str, object: &str, id: &str) -> Result<Record, AwsError> {
    records.get(cx, id)?.ok_or_else(|| not_found(code, object))
}

fn not_found(code: &str, object: &str) -> AwsError {
    AwsError::new(format!("{code}.NotFound"), format!("The {object} does not exist"))
}
