//! EC2: networks, their resources and rules.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, Tag};

use crate::error::{Error, Result};
use crate::session::Session;

/// Maximum values of one filter ("Security group rules", `DescribeSecurityGroupRules`).
const MAX_FILTER_VALUES: usize = 200;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInterface {
    /// The ID, `eni-…`.
    pub id: String,
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

fn filter(name: &str, values: &[String]) -> Filter {
    Filter::builder().name(name).set_values(Some(values.to_vec())).build()
}

fn tag_filters(tags: &[(&str, &str)]) -> Vec<Filter> {
    let tags = tags.iter();
    tags.map(|(key, value)| Filter::builder().name(format!("tag:{key}")).values(*value).build())
        .collect()
}

/// Returns the IDs of the VPCs with all of these tags; of all VPCs without any tag.
///
/// # Errors
/// The request fails.
pub async fn vpcs(aws: &Session, tags: &[(&str, &str)]) -> Result<Vec<String>> {
    let filters = (!tags.is_empty()).then(|| tag_filters(tags));
    let response = aws.ec2.describe_vpcs().set_filters(filters).send().await?;
    let ids = response.vpcs().iter().filter_map(|vpc| vpc.vpc_id());
    Ok(ids.map(str::to_owned).collect())
}

/// Returns the public addresses with all of these tags; all addresses without any tag.
///
/// # Errors
/// The request fails.
pub async fn addresses(aws: &Session, tags: &[(&str, &str)]) -> Result<Vec<String>> {
    let filters = (!tags.is_empty()).then(|| tag_filters(tags));
    let response = aws.ec2.describe_addresses().set_filters(filters).send().await?;
    let names = response.addresses().iter().map(|address| {
        let name = address.public_ip().or(address.allocation_id());
        name.unwrap_or_default().to_owned()
    });
    Ok(names.collect())
}

/// Returns the number of NAT gateways in each zone. The quota includes those that are being created or deleted ("Amazon VPC quotas").
///
/// # Errors
/// A request fails.
pub async fn nat_gateways_by_zone(aws: &Session) -> Result<BTreeMap<String, usize>> {
    let gateways = aws.ec2.describe_nat_gateways().into_paginator().items().send();
    let gateways = gateways.collect::<Result<Vec<_>, _>>().await?;
    let existing = gateways.iter().filter(|gateway| {
        let state = gateway.state().map(|state| state.as_str());
        matches!(state, Some("pending" | "available" | "deleting"))
    });
    let subnets: Vec<String> = existing
        .filter_map(|gateway| gateway.subnet_id())
        .map(str::to_owned)
        .collect();
    if subnets.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut ids = subnets.clone();
    ids.sort_unstable();
    ids.dedup();
    let response = aws.ec2.describe_subnets().set_subnet_ids(Some(ids)).send().await?;
    let mut zones = BTreeMap::new();
    for subnet in response.subnets() {
        let here = subnets.iter().filter(|id| subnet.subnet_id() == Some(id.as_str()));
        let zone = subnet.availability_zone().unwrap_or_default().to_owned();
        *zones.entry(zone).or_default() += here.count();
    }
    Ok(zones)
}

/// Returns the network interfaces of a VPC, or only those that nothing uses.
///
/// # Errors
/// The request fails.
pub async fn network_interfaces(aws: &Session, vpc: &str, only_unused: bool) -> Result<Vec<NetworkInterface>> {
    let mut filters = vec![filter("vpc-id", &[vpc.to_owned()])];
    if only_unused {
        filters.push(filter("status", &["available".to_owned()]));
    }
    let request = aws.ec2.describe_network_interfaces().set_filters(Some(filters));
    let mut pages = request.into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(interface) = pages.next().await {
        let interface = interface?;
        let description = interface.description().filter(|text| !text.is_empty());
        found.push(NetworkInterface {
            id: interface.network_interface_id().unwrap_or_default().to_owned(),
            status: interface.status().map(|s| s.as_str()).unwrap_or_default().to_owned(),
            description: description.unwrap_or("no description").to_owned(),
        });
    }
    Ok(found)
}

/// Deletes a network interface. It is not an error if it was deleted in the meantime, or is in use again.
///
/// # Errors
/// The request fails.
pub async fn delete_network_interface(aws: &Session, id: &str) -> Result<()> {
    let request = aws.ec2.delete_network_interface().network_interface_id(id);
    match request.send().await.map_err(Error::from) {
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
    let here = || filter("vpc-id", vpcs);
    let groups = aws.ec2.describe_security_groups().filters(here()).into_paginator();
    let subnets = aws.ec2.describe_subnets().filters(here()).into_paginator();
    let gateways = aws.ec2.describe_nat_gateways().filter(here()).into_paginator();
    let endpoints = aws.ec2.describe_vpc_endpoints().filters(here()).into_paginator();
    let (groups, subnets, gateways, endpoints) = tokio::join!(
        groups.items().send().collect::<Result<Vec<_>, _>>(),
        subnets.items().send().collect::<Result<Vec<_>, _>>(),
        gateways.items().send().collect::<Result<Vec<_>, _>>(),
        endpoints.items().send().collect::<Result<Vec<_>, _>>(),
    );
    let (groups, subnets, gateways, endpoints) = (groups?, subnets?, gateways?, endpoints?);
    let resource = |resource_type, id: Option<&str>, tags: &[Tag], description: String| NetworkResource {
        resource_type,
        id: id.unwrap_or_default().to_owned(),
        description,
        stack: stack_tag(tags),
    };
    let mut found = Vec::new();
    for group in groups.iter().filter(|group| group.group_name() != Some("default")) {
        let name = group.group_name().unwrap_or_default();
        let description = format!("{name}: {}", group.description().unwrap_or_default());
        found.push(resource(
            "AWS::EC2::SecurityGroup",
            group.group_id(),
            group.tags(),
            description,
        ));
    }
    for subnet in &subnets {
        let range = subnet.cidr_block().unwrap_or("an unknown range").to_owned();
        found.push(resource("AWS::EC2::Subnet", subnet.subnet_id(), subnet.tags(), range));
    }
    for gateway in &gateways {
        let state = gateway.state().map(|state| state.as_str()).unwrap_or_default();
        if state != "deleted" && state != "deleting" {
            let id = gateway.nat_gateway_id();
            found.push(resource("AWS::EC2::NatGateway", id, gateway.tags(), state.to_owned()));
        }
    }
    for endpoint in &endpoints {
        let service = endpoint.service_name().unwrap_or_default().to_owned();
        let id = endpoint.vpc_endpoint_id();
        found.push(resource("AWS::EC2::VPCEndpoint", id, endpoint.tags(), service));
    }
    Ok(found)
}

/// Returns the value of the tag that CloudFormation sets on the resources that it creates.
fn stack_tag(tags: &[Tag]) -> Option<String> {
    let tag = tags
        .iter()
        .find(|tag| tag.key() == Some("aws:cloudformation:stack-name"));
    tag.and_then(|tag| tag.value()).map(str::to_owned)
}

/// Returns the rules of these security groups.
///
/// # Errors
/// The request fails.
pub async fn security_group_rules(aws: &Session, groups: &[String]) -> Result<Vec<SecurityGroupRule>> {
    let mut found = Vec::new();
    for groups in groups.chunks(MAX_FILTER_VALUES) {
        let request = aws.ec2.describe_security_group_rules();
        let request = request.filters(filter("group-id", groups));
        let mut rules = request.into_paginator().items().send();
        while let Some(rule) = rules.next().await {
            let rule = SecurityGroupRule::from(rule?);
            // An endpoint that does not know the filter returns the rules of every group.
            if groups.contains(&rule.group) {
                found.push(rule);
            }
        }
    }
    Ok(found)
}

impl From<aws_sdk_ec2::types::SecurityGroupRule> for SecurityGroupRule {
    fn from(rule: aws_sdk_ec2::types::SecurityGroupRule) -> Self {
        let peer = rule
            .cidr_ipv4()
            .or(rule.cidr_ipv6())
            .or(rule.referenced_group_info().and_then(|group| group.group_id()))
            .or(rule.prefix_list_id());
        Self {
            peer: peer.unwrap_or_default().to_owned(),
            id: rule.security_group_rule_id().unwrap_or_default().to_owned(),
            group: rule.group_id().unwrap_or_default().to_owned(),
            egress: rule.is_egress().unwrap_or_default(),
            protocol: rule.ip_protocol().unwrap_or_default().to_owned(),
            ports: (
                rule.from_port().unwrap_or(-1).into(),
                rule.to_port().unwrap_or(-1).into(),
            ),
        }
    }
}
