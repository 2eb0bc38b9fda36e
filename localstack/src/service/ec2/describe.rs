//! Selection by ID, filters and pagination, for all Describe operations.

use serde_json::{Map, Value, json};

use super::error::invalid_parameter;
use crate::AwsError;
use crate::records::{Record, page, scalar, texts};
use crate::service::Call;
use crate::service::wildcard;

/// Filters that are not named after their member.
const FILTER_MEMBERS: [(&str, &str); 46] = [
    ("default", "IsDefault"),
    ("dhcp-options-id", "DhcpOptionsId"),
    ("cidr", "CidrBlock"),
    ("cidrBlock", "CidrBlock"),
    ("isDefault", "IsDefault"),
    ("availabilityZone", "AvailabilityZone"),
    ("domain", "Domain"),
    ("resource-id", "ResourceId"),
    ("vpc-endpoint-state", "State"),
    ("attachment.state", "Attachments.State"),
    ("cidr-block-association.cidr-block", "CidrBlockAssociationSet.CidrBlock"),
    ("tag-key", "Tags.Key"),
    ("tag-key", "TagSet.Key"),
    ("tag-value", "Tags.Value"),
    ("tag-value", "TagSet.Value"),
    ("association.association-id", "Associations.NetworkAclAssociationId"),
    ("ip-permission.cidr", "IpPermissions.IpRanges.CidrIp"),
    ("ip-permission.ipv6-cidr", "IpPermissions.Ipv6Ranges.CidrIpv6"),
    ("ip-permission.from-port", "IpPermissions.FromPort"),
    ("ip-permission.to-port", "IpPermissions.ToPort"),
    ("ip-permission.protocol", "IpPermissions.IpProtocol"),
    ("ip-permission.group-id", "IpPermissions.UserIdGroupPairs.GroupId"),
    ("ip-permission.group-name", "IpPermissions.UserIdGroupPairs.GroupName"),
    ("ip-permission.user-id", "IpPermissions.UserIdGroupPairs.UserId"),
    (
        "ip-permission.prefix-list-id",
        "IpPermissions.PrefixListIds.PrefixListId",
    ),
    ("egress.ip-permission.cidr", "IpPermissionsEgress.IpRanges.CidrIp"),
    (
        "egress.ip-permission.ipv6-cidr",
        "IpPermissionsEgress.Ipv6Ranges.CidrIpv6",
    ),
    ("egress.ip-permission.from-port", "IpPermissionsEgress.FromPort"),
    ("egress.ip-permission.to-port", "IpPermissionsEgress.ToPort"),
    ("egress.ip-permission.protocol", "IpPermissionsEgress.IpProtocol"),
    (
        "egress.ip-permission.group-id",
        "IpPermissionsEgress.UserIdGroupPairs.GroupId",
    ),
    (
        "egress.ip-permission.group-name",
        "IpPermissionsEgress.UserIdGroupPairs.GroupName",
    ),
    (
        "egress.ip-permission.user-id",
        "IpPermissionsEgress.UserIdGroupPairs.UserId",
    ),
    (
        "egress.ip-permission.prefix-list-id",
        "IpPermissionsEgress.PrefixListIds.PrefixListId",
    ),
    ("key", "DhcpConfigurations.Key"),
    ("value", "DhcpConfigurations.Values.Value"),
    (
        "cidr-block-association.association-id",
        "CidrBlockAssociationSet.AssociationId",
    ),
    (
        "cidr-block-association.state",
        "CidrBlockAssociationSet.CidrBlockState.State",
    ),
    ("group-id", "Groups.GroupId"),
    ("group-name", "Groups.GroupName"),
    ("addresses.private-ip-address", "PrivateIpAddresses.PrivateIpAddress"),
    ("entry.cidr", "Entries.CidrBlock"),
    ("entry.ipv6-cidr", "Entries.Ipv6CidrBlock"),
    ("deliver-log-status", "DeliverLogsStatus"),
    ("status-code", "Status.Code"),
    ("status-message", "Status.Message"),
];

/// Members that select items like the IDs, the members that they compare, and the codes for a value that no item has.
const SELECTORS: [(&str, &str, &str); 3] = [
    ("PublicIps", "PublicIp", "InvalidAddress.NotFound"),
    ("GroupNames", "GroupName", "InvalidGroup.NotFound"),
    ("ZoneIds", "ZoneId", "InvalidParameterValue"),
];

/// Returns one page of the items that the call asks for, as the member `list`.
///
/// # Errors
/// The resource's `NotFound` code for an ID that no item has, and `InvalidParameterValue` for an unknown filter.
pub fn response(list: &str, id: &str, mut items: Vec<Value>, call: &Call) -> Result<Value, AwsError> {
    let requested = requested_ids(call, id);
    if let Some(missing) = requested
        .iter()
        .find(|one| !items.iter().any(|item| item[id] == ***one))
    {
        return Err(not_found(id, missing));
    }
    items.retain(|item| requested.is_empty() || requested.iter().any(|one| item[id] == **one));
    for (input, member, code) in SELECTORS {
        let values = texts(call.input.get(input));
        if let Some(missing) = values
            .iter()
            .find(|value| !items.iter().any(|item| item[member] == ***value))
        {
            return Err(AwsError::new(code, format!("The {member} '{missing}' does not exist")));
        }
        items.retain(|item| values.is_empty() || values.iter().any(|value| item[member] == **value));
    }
    for filter in ["Filters", "Filter"].iter().flat_map(|member| call.list(member)) {
        let name = filter["Name"].as_str().unwrap_or_default();
        let values = texts(filter.get("Values").or(filter.get("Value")));
        let paths = paths(name);
        let has_one = |item: &Value| paths.iter().any(|path| has_member(item, path));
        let known = items.is_empty() || name.starts_with("tag") || items.iter().any(has_one);
        if !known {
            return Err(invalid_parameter(format!("The filter '{name}' is invalid")));
        }
        items.retain(|item| match name.strip_prefix("tag:") {
            Some(key) => {
                let lists = [&item["Tags"], &item["TagSet"]];
                let tags = lists
                    .into_iter()
                    .filter_map(Value::as_array)
                    .flatten()
                    .filter(|tag| tag["Key"] == key);
                tags.filter_map(|tag| tag["Value"].as_str())
                    .any(|value| values.iter().any(|v| wildcard::matches(v, value)))
            }
            None => paths
                .iter()
                .flat_map(|path| values_at(item, path))
                .any(|text| values.iter().any(|v| wildcard::matches(v, &text))),
        });
    }
    page_of(list, items, call)
}

/// Returns one page of a list.
///
/// # Errors
/// `InvalidNextToken` for an unknown token.
pub fn page_of(list: &str, items: Vec<Value>, call: &Call) -> Result<Value, AwsError> {
    let limit = match call.integer("MaxResults") {
        Some(_) => call.limit("MaxResults", 1000, 1..=1000),
        None => usize::MAX / 2,
    };
    let (items, next) = page(items, limit, call.text("NextToken").as_deref())?;
    let mut response = Map::new();
    response.insert(list.to_owned(), items.into());
    if let Some(token) = next {
        response.insert("NextToken".into(), token.into());
    }
    Ok(Value::Object(response))
}

/// Returns the attributes of the account.
pub fn account_attributes(default_vpc: Option<String>) -> Vec<Value> {
    let attribute =
        |name: &str, value: String| json!({"AttributeName": name, "AttributeValues": [{"AttributeValue": value}]});
    vec![
        attribute("supported-platforms", "VPC".into()),
        attribute("default-vpc", default_vpc.unwrap_or_else(|| "none".into())),
    ]
}

/// Returns the IDs that the call names: `VpcIds`, or `DhcpOptionsIds` where the ID is a plural itself.
fn requested_ids(call: &Call, id: &str) -> Vec<String> {
    let members = [format!("{id}s"), id.to_owned()];
    members
        .iter()
        .flat_map(|member| texts(call.input.get(member)))
        .collect()
}

/// Creates the error for a resource that does not exist, by the member with its ID.
pub fn not_found(id: &str, value: &str) -> AwsError {
    let (code, kind) = match id {
        "VpcId" => ("InvalidVpcID.NotFound", "vpc ID"),
        "SubnetId" => ("InvalidSubnetID.NotFound", "subnet ID"),
        "InternetGatewayId" => ("InvalidInternetGatewayID.NotFound", "internetGateway ID"),
        "RouteTableId" => ("InvalidRouteTableID.NotFound", "routeTable ID"),
        "AllocationId" => ("InvalidAllocationID.NotFound", "allocation ID"),
        "NatGatewayId" => ("NatGatewayNotFound", "Nat Gateway"),
        "GroupId" => ("InvalidGroup.NotFound", "security group"),
        "SecurityGroupRuleId" => ("InvalidSecurityGroupRuleId.NotFound", "security group rule ID"),
        "VpcEndpointId" => ("InvalidVpcEndpointId.NotFound", "Vpc Endpoint Id"),
        "FlowLogId" => ("InvalidFlowLogId.NotFound", "Flow Log Id"),
        "InstanceId" => ("InvalidInstanceID.NotFound", "instance ID"),
        "VpcPeeringConnectionId" => ("InvalidVpcPeeringConnectionID.NotFound", "vpcPeeringConnection ID"),
        "EgressOnlyInternetGatewayId" => ("InvalidGatewayID.NotFound", "eigw ID"),
        "NetworkAclId" => ("InvalidNetworkAclID.NotFound", "networkAcl ID"),
        "DhcpOptionsId" => ("InvalidDhcpOptionID.NotFound", "DhcpOption ID"),
        "PrefixListId" => ("InvalidPrefixListID.NotFound", "prefix list ID"),
        "VpnGatewayId" => ("InvalidVpnGatewayID.NotFound", "vpnGateway ID"),
        "NetworkInterfaceId" => ("InvalidNetworkInterfaceID.NotFound", "networkInterface ID"),
        _ => ("InvalidParameterValue", "value"),
    };
    AwsError::new(code, format!("The {kind} '{value}' does not exist"))
}

/// Returns the members that a filter looks at in one or another kind of item.
fn paths(name: &str) -> Vec<Vec<String>> {
    let of_table = FILTER_MEMBERS.iter().filter(|(filter, _)| *filter == name);
    let of_table = of_table.map(|(_, path)| path.split('.').map(str::to_owned).collect());
    of_table.chain(std::iter::once(derived_path(name))).collect()
}

/// Returns the members that the name of a filter says: `["Associations", "SubnetId"]` for `association.subnet-id`.
fn derived_path(name: &str) -> Vec<String> {
    let steps: Vec<&str> = name.split('.').collect();
    let upper = |step: &str| -> String {
        step.split('-')
            .map(|word| word[..word.len().min(1)].to_ascii_uppercase() + word.get(1..).unwrap_or(""))
            .collect()
    };
    let last = steps.len() - 1;
    steps
        .iter()
        .enumerate()
        .map(|(at, step)| if at < last { upper(step) + "s" } else { upper(step) })
        .collect()
}

fn has_member(item: &Value, path: &[String]) -> bool {
    path.first().is_some_and(|step| item.get(step).is_some())
}

fn values_at(value: &Value, path: &[String]) -> Vec<String> {
    match (value, path.split_first()) {
        (Value::Array(list), _) => list.iter().flat_map(|item| values_at(item, path)).collect(),
        (_, Some((step, rest))) => value.get(step).map(|inner| values_at(inner, rest)).unwrap_or_default(),
        (scalar_value, None) => scalar(scalar_value).into_iter().collect(),
    }
}

/// Sets a member if there is a value for it.
pub fn with(mut item: Value, member: &str, value: Option<impl Into<Value>>) -> Value {
    if let Some(value) = value {
        item[member] = value.into();
    }
    item
}

/// Returns a boolean, written as a boolean or as text.
pub fn flag_text(value: &Value) -> Option<bool> {
    scalar(value)?.parse().ok()
}

/// Returns a boolean property, written as a boolean or as text.
pub fn flag(record: &Record, property: &str, default: bool) -> Value {
    json!(record.text(property).map_or(default, |text| text == "true"))
}
