//! EC2: networks, their resources and rules.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::Result;
use crate::session::Session;
use crate::signed_request::{
    DELETE_NETWORK_INTERFACE, DESCRIBE_ADDRESSES, DESCRIBE_NAT_GATEWAYS, DESCRIBE_NETWORK_INTERFACES,
    DESCRIBE_SECURITY_GROUP_RULES, DESCRIBE_SECURITY_GROUPS, DESCRIBE_SUBNETS, DESCRIBE_VPC_ENDPOINTS, DESCRIBE_VPCS,
    Operation, items,
};

/// Maximum values of one filter ("Security group rules", `DescribeSecurityGroupRules`).
const MAX_FILTER_VALUES: usize = 200;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInterface {
    /// The ID, `eni-…`.
    pub id: String,
    /// The IDs of its security groups.
    pub groups: Vec<String>,
    /// `available` if nothing uses it, else `in-use`.
    pub status: String,
    /// The description, which names the AWS service that made it.
    pub description: String,
}

/// A resource in a VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkResource {
    /// Its CloudFormation type.
    pub resource_type: &'static str,
    /// The ID, `sg-…`.
    pub id: String,
    /// The description of the group.
    pub description: String,
    /// The stack in its tags, which may be another project's.
    pub stack: Option<String>,
}

/// A rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGroupRule {
    /// The ID, `sgr-…`.
    pub id: String,
    /// The ID of the security group.
    pub group: String,
    /// True for outgoing traffic.
    pub egress: bool,
    /// The name or number of the protocol; `-1` means every protocol.
    pub protocol: String,
    /// The first and the last port; -1 is every port.
    pub ports: (i64, i64),
    /// An address range, a group, or a prefix list.
    pub peer: String,
}

pub(crate) fn filter(name: &str, values: &[String]) -> Value {
    json!({ "Name": name, "Value": values })
}

fn tag_filters(tags: &[(&str, &str)]) -> Value {
    let tags = tags.iter();
    tags.map(|(key, value)| filter(&format!("tag:{key}"), &[(*value).to_owned()]))
        .collect()
}

/// Calls an operation until its last page, and returns the items of the list `set`.
pub(crate) async fn list(aws: &Session, operation: Operation, mut input: Value, set: &str) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    loop {
        let page = aws.signed.call(operation, &input).await?;
        found.extend(items(&page[set], "item").into_iter().cloned());
        match page["nextToken"].as_str().filter(|token| !token.is_empty()) {
            Some(token) => input["NextToken"] = token.into(),
            None => return Ok(found),
        }
    }
}

/// Returns a member; an empty text without it.
pub(crate) fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// Returns the IDs of the VPCs with all of these tags; of all VPCs without any tag.
///
/// # Errors
/// The request fails.
pub async fn vpcs(aws: &Session, tags: &[(&str, &str)]) -> Result<Vec<String>> {
    let vpcs = list(aws, DESCRIBE_VPCS, json!({ "Filter": tag_filters(tags) }), "vpcSet").await?;
    Ok(vpcs.iter().map(|vpc| text(vpc, "vpcId")).collect())
}

/// Returns the public addresses with all of these tags; all addresses without any tag.
///
/// # Errors
/// The request fails.
pub async fn addresses(aws: &Session, tags: &[(&str, &str)]) -> Result<Vec<String>> {
    let input = json!({ "Filter": tag_filters(tags) });
    let addresses = list(aws, DESCRIBE_ADDRESSES, input, "addressesSet").await?;
    let names = addresses.iter().map(|address| {
        let name = address["publicIp"].as_str().or(address["allocationId"].as_str());
        name.unwrap_or_default().to_owned()
    });
    Ok(names.collect())
}

/// Returns the number of NAT gateways in each zone. The quota includes those that are being created or deleted ("Amazon VPC quotas").
///
/// # Errors
/// A request fails.
pub async fn nat_gateways_by_zone(aws: &Session) -> Result<BTreeMap<String, usize>> {
    let gateways = list(aws, DESCRIBE_NAT_GATEWAYS, json!({}), "natGatewaySet").await?;
    let existing = gateways
        .iter()
        .filter(|gateway| matches!(gateway["state"].as_str(), Some("pending" | "available" | "deleting")));
    let subnets: Vec<String> = existing.map(|gateway| text(gateway, "subnetId")).collect();
    if subnets.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut ids = subnets.clone();
    ids.sort_unstable();
    ids.dedup();
    let mut zones = BTreeMap::new();
    for subnet in list(aws, DESCRIBE_SUBNETS, json!({ "SubnetId": ids }), "subnetSet").await? {
        let here = subnets.iter().filter(|id| subnet["subnetId"] == **id);
        *zones.entry(text(&subnet, "availabilityZone")).or_default() += here.count();
    }
    Ok(zones)
}

/// The owner of network interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceOwner {
    /// VPCs, by their IDs.
    Vpcs(Vec<String>),
    /// Security groups, by their IDs.
    SecurityGroups(Vec<String>),
}

/// Returns the network interfaces of a VPC.
///
/// # Errors
/// The request fails.
pub async fn network_interfaces(aws: &Session, vpc: &str) -> Result<Vec<NetworkInterface>> {
    interfaces(aws, vec![filter("vpc-id", &[vpc.to_owned()])]).await
}

/// Returns the network interfaces that nothing uses.
///
/// # Errors
/// A request fails.
pub async fn unused_interfaces(aws: &Session, owner: &InterfaceOwner) -> Result<Vec<NetworkInterface>> {
    let (name, ids) = match owner {
        InterfaceOwner::Vpcs(ids) => ("vpc-id", ids),
        InterfaceOwner::SecurityGroups(ids) => ("group-id", ids),
    };
    let mut found = Vec::new();
    for ids in ids.chunks(MAX_FILTER_VALUES) {
        let filters = vec![filter(name, ids), filter("status", &["available".to_owned()])];
        found.extend(interfaces(aws, filters).await?);
    }
    // An endpoint that does not know the filter returns those of every group, in a VPC of others.
    if let InterfaceOwner::SecurityGroups(own) = owner {
        found.retain(|interface| interface.groups.iter().any(|group| own.contains(group)));
    }
    Ok(found)
}

async fn interfaces(aws: &Session, filters: Vec<Value>) -> Result<Vec<NetworkInterface>> {
    let input = json!({ "Filter": filters });
    let interfaces = list(aws, DESCRIBE_NETWORK_INTERFACES, input, "networkInterfaceSet").await?;
    let found = interfaces.iter().map(|interface| {
        let description = interface["description"].as_str().filter(|text| !text.is_empty());
        NetworkInterface {
            id: text(interface, "networkInterfaceId"),
            groups: items(&interface["groupSet"], "item")
                .into_iter()
                .map(|group| text(group, "groupId"))
                .collect(),
            status: text(interface, "status"),
            description: description.unwrap_or("no description").to_owned(),
        }
    });
    Ok(found.collect())
}

/// Deletes a network interface. It is not an error if it was deleted in the meantime, or is in use again.
///
/// # Errors
/// The request fails.
pub async fn delete_network_interface(aws: &Session, id: &str) -> Result<()> {
    let input = json!({ "NetworkInterfaceId": id });
    match aws.signed.call(DELETE_NETWORK_INTERFACE, &input).await {
        Err(error)
            if !matches!(
                error.code(),
                "InvalidNetworkInterfaceID.NotFound" | "InvalidParameterValue" | "InvalidNetworkInterface.InUse"
            ) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// Returns the security groups (without default ones), subnets, NAT gateways and VPC endpoints in these VPCs.
///
/// # Errors
/// A request fails.
pub async fn network_resources(aws: &Session, vpcs: &[String]) -> Result<Vec<NetworkResource>> {
    let here = json!({ "Filter": [filter("vpc-id", vpcs)] });
    let (groups, subnets, gateways, endpoints) = tokio::try_join!(
        list(aws, DESCRIBE_SECURITY_GROUPS, here.clone(), "securityGroupInfo"),
        list(aws, DESCRIBE_SUBNETS, here.clone(), "subnetSet"),
        list(aws, DESCRIBE_NAT_GATEWAYS, here.clone(), "natGatewaySet"),
        list(aws, DESCRIBE_VPC_ENDPOINTS, here.clone(), "vpcEndpointSet"),
    )?;
    let resource = |resource_type, id: &str, resource: &Value, description: String| NetworkResource {
        resource_type,
        id: text(resource, id),
        description,
        stack: stack_tag(resource),
    };
    let mut found = Vec::new();
    for group in groups.iter().filter(|group| group["groupName"] != "default") {
        let description = format!("{}: {}", text(group, "groupName"), text(group, "groupDescription"));
        found.push(resource("AWS::EC2::SecurityGroup", "groupId", group, description));
    }
    for subnet in &subnets {
        let range = subnet["cidrBlock"].as_str().unwrap_or("an unknown range").to_owned();
        found.push(resource("AWS::EC2::Subnet", "subnetId", subnet, range));
    }
    for gateway in &gateways {
        let state = text(gateway, "state");
        if state != "deleted" && state != "deleting" {
            found.push(resource("AWS::EC2::NatGateway", "natGatewayId", gateway, state));
        }
    }
    for endpoint in &endpoints {
        let service = text(endpoint, "serviceName");
        found.push(resource("AWS::EC2::VPCEndpoint", "vpcEndpointId", endpoint, service));
    }
    Ok(found)
}

/// Returns the value of the tag that CloudFormation sets on the resources that it creates.
fn stack_tag(resource: &Value) -> Option<String> {
    let tags = items(&resource["tagSet"], "item");
    let tag = tags
        .into_iter()
        .find(|tag| tag["key"] == "aws:cloudformation:stack-name")?;
    Some(text(tag, "value"))
}

/// Returns the rules of these security groups.
///
/// # Errors
/// The request fails.
pub async fn security_group_rules(aws: &Session, groups: &[String]) -> Result<Vec<SecurityGroupRule>> {
    let mut found = Vec::new();
    for groups in groups.chunks(MAX_FILTER_VALUES) {
        let input = json!({ "Filter": [filter("group-id", groups)] });
        let rules = list(aws, DESCRIBE_SECURITY_GROUP_RULES, input, "securityGroupRuleSet").await?;
        // An endpoint that does not know the filter returns the rules of every group.
        found.extend(rules.iter().map(rule).filter(|rule| groups.contains(&rule.group)));
    }
    Ok(found)
}

fn rule(rule: &Value) -> SecurityGroupRule {
    let peers = [
        &rule["cidrIpv4"],
        &rule["cidrIpv6"],
        &rule["referencedGroupInfo"]["groupId"],
        &rule["prefixListId"],
    ];
    let port = |name: &str| rule[name].as_str().and_then(|port| port.parse().ok()).unwrap_or(-1);
    SecurityGroupRule {
        peer: peers.into_iter().find_map(Value::as_str).unwrap_or_default().to_owned(),
        id: text(rule, "securityGroupRuleId"),
        group: text(rule, "groupId"),
        egress: rule["isEgress"] == "true",
        protocol: text(rule, "ipProtocol"),
        ports: (port("fromPort"), port("toPort")),
    }
}
